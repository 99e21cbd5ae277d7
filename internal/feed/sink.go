package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// DeadLetters keeps records that the daemon refused. Put returns when they are safe.
type DeadLetters interface {
	Put(ctx context.Context, letters [][]byte) error
}

// Counts are what a Sink has come to so far.
type Counts struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	Refused    int `json:"refused"`
}

// Sink takes records for the daemon. Take may be called from several goroutines at once.
type Sink struct {
	Mapping
	Poster
	Dead DeadLetters // nil: the first refused record ends it

	mu     sync.Mutex
	counts Counts
}

// Counts returns what has become of records so far.
func (s *Sink) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Take hands in records. done tells for each whether its source may let go of it: the daemon has it on
// disk, or dead letters have. The error says why the others have to stay: a *Refusal where there are no
// dead letters.
func (s *Sink) Take(ctx context.Context, records []Record) (done []bool, err error) {
	done = make([]bool, len(records))
	requests := make([]client.SendRequest, len(records))
	refused := map[int]*Refusal{}
	var lines [][]byte
	var of []int // the record of each line
	for i, r := range records {
		var text []byte
		if requests[i], err = s.request(r); err == nil {
			text, err = client.AppendLine(nil, requests[i])
		}
		if err != nil {
			refused[i] = refusalOf(r, requests[i], err)
			continue
		}
		lines, of = append(lines, text[:len(text)-1]), append(of, i)
	}
	var now Counts
	err = s.Post(ctx, lines, func(l int, r client.BatchResult) {
		i := of[l]
		switch {
		case r.Err != nil:
			refused[i] = refusalOf(records[i], requests[i], r.Err)
			return
		case r.Duplicate:
			now.Duplicates++
		default:
			now.Accepted++
		}
		done[i] = true
	})
	buried := s.bury(ctx, refused, done)
	if buried == nil {
		now.Refused = len(refused)
	}
	s.mu.Lock()
	s.counts = Counts{s.counts.Accepted + now.Accepted, s.counts.Duplicates + now.Duplicates, s.counts.Refused + now.Refused}
	s.mu.Unlock()
	return done, cmp.Or(buried, err)
}

// bury gives what was refused to the dead letters. The first in the order of the records is the error
// where there are none.
func (s *Sink) bury(ctx context.Context, refused map[int]*Refusal, done []bool) error {
	var letters [][]byte
	var first *Refusal
	for i := range done {
		r := refused[i]
		switch {
		case r == nil:
			continue
		case s.Dead == nil:
			return r
		}
		text, err := r.letter(s.Now())
		if err != nil {
			return fmt.Errorf("write the dead letter of %s: %w", r.Record.ID, err)
		}
		letters, first = append(letters, text), cmp.Or(first, r)
	}
	if len(letters) == 0 {
		return nil
	}
	// What was refused would be refused again: it is kept even at the end.
	ctx, end := s.graceful(ctx)
	defer end()
	if err := s.Dead.Put(ctx, letters); err != nil {
		return fmt.Errorf("keep what was refused, %s and what was with it, which stays where it is: %w", first.Record.ID, err)
	}
	for i := range refused {
		done[i] = true
	}
	return nil
}

// Refused tells whether err is that a record was refused, and which.
func Refused(err error) (*Refusal, bool) { return errors.AsType[*Refusal](err) }
