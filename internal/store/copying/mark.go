package copying

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// MarkName is the value under which a store says what part it has in a copy. It is written before
// the first record, so that no daemon works on either side meanwhile, and none on the side
// copied from afterwards.
const MarkName = "fantail store copy"

// Mark says what part a store has in a copy.
type Mark struct {
	ID     string // of the copy: both sides have the same
	Source bool   // this side is copied from
	Peer   string // the other side
	Begun  time.Time
	Ended  time.Time // of a source: when all of it was copied and compared; zero before
	Place  Place     // of a target: the last record that it has
	Done   Progress  // of a target: how much that is
}

func (m *Mark) encode() []byte {
	b, _ := json.Marshal(m) // texts, numbers and times
	return b
}

// readMark returns nil where there is none.
func readMark(ctx context.Context, s store.Registry) (*Mark, error) {
	b, err := s.Get(ctx, MarkName)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	m := new(Mark)
	if err == nil {
		err = json.Unmarshal(b, m)
	}
	if err != nil {
		return nil, fmt.Errorf("read what the store says of a copy: %w", err)
	}
	return m, nil
}

// Refuse says why no daemon may work on a store with that mark; nil without one.
func Refuse(mark []byte) error {
	if mark == nil {
		return nil
	}
	var m Mark
	if err := json.Unmarshal(mark, &m); err != nil {
		return fmt.Errorf("read what the store says of a copy: %w", err)
	}
	return m.refusal()
}

func (m *Mark) refusal() error {
	switch {
	case !m.Source:
		return fmt.Errorf("the store is an unfinished copy of %s, begun %s: run fantail store copy again, which finishes it", m.Peer, day(m.Begun))
	case m.Ended.IsZero():
		return fmt.Errorf("the store is being copied to %s, begun %s: run fantail store copy again, which finishes the copy, or give it up with fantail store release", m.Peer, day(m.Begun))
	}
	return fmt.Errorf("the store was copied to %s on %s, and goes on there: a daemon on it as well would deliver everything twice. "+
		"If nothing works on the copy, fantail store release lets a daemon work here again", m.Peer, day(m.Ended))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Release takes the mark off a store that was copied from.
func Release(ctx context.Context, s Store) error {
	m, err := readMark(ctx, s)
	switch {
	case err != nil:
		return err
	case m == nil:
		return errors.New("the store has no part in a copy: there is nothing to release")
	case !m.Source:
		return fmt.Errorf("%w. To give the copy up, remove this store, of which it is only a part", m.refusal())
	}
	return s.Delete(ctx, MarkName)
}
