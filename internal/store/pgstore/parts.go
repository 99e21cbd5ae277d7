package pgstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// partsKey is where the home database keeps which further primaries there are, and partKey where
	// each of those keeps whose it is.
	partsKey = "store/primaries"
	partKey  = "store/primary"
	// mostParts is how many there may be: their numbers stand in a byte of an id, and 0 is the home
	// database.
	mostParts = 255
)

// part says what a database is of a store that has several: see Primaries.
type part struct {
	home  *Store   // nil: it is the home database
	names []string // of the further ones that the settings have
}

// leads tells whether the lease may be renewed.
func (p *part) leads() bool { return p == nil || p.home == nil || p.home.Owned() }

// serves tells whether a slot of serial destinations may be adopted: one process alone delivers to
// them, so that all slots of that number go with the one at home.
func (p *part) serves(slot int16) bool {
	return p == nil || p.home == nil || p.home.owned.has(slot)
}

// parts is what the home database keeps.
type parts struct {
	Store string   `json:"store"` // names it: every further primary has it, too
	Of    []parted `json:"primaries"`
}

type parted struct {
	Name   string `json:"name"`
	Number byte   `json:"number"`
	Active bool   `json:"active"` // events may lie there
}

func (p *parts) of(name string) *parted {
	if i := slices.IndexFunc(p.Of, func(one parted) bool { return one.Name == name }); i >= 0 {
		return &p.Of[i]
	}
	return nil
}

// mark is what a further primary keeps.
type mark struct {
	Store string `json:"store"`
	Name  string `json:"name"`
}

// readParts returns what the database keeps of several, as it stands and read.
func (s *Store) readParts(ctx context.Context) (raw []byte, p parts, err error) {
	err = s.reading(ctx, func(q query) error { return q.one(sqlValue, []any{[]byte(partsKey)}, &raw) })
	if errors.Is(err, store.ErrNotFound) {
		return nil, p, nil
	}
	if err == nil && json.Unmarshal(raw, &p) != nil {
		err = errRow
	}
	if err != nil {
		return nil, p, fmt.Errorf("read which primaries there are: %w", err)
	}
	return raw, p, nil
}

// checkParts refuses to work on part of a store. It comes after the slots were taken: see activate.
func (s *Store) checkParts(ctx context.Context) error {
	p := s.opts.part
	if p != nil && p.home != nil {
		return nil // see claimPart
	}
	var of []byte
	err := s.reading(ctx, func(q query) error { return q.one(sqlValue, []any{[]byte(partKey)}, &of) })
	if err == nil {
		return fmt.Errorf("the database is a further primary of a store: store.postgres.urls must name the home database of that, and store.postgres.more this one; it says %s", of)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read whose primary the database is: %w", err)
	}
	_, all, err := s.readParts(ctx)
	if err != nil {
		return err
	}
	for _, one := range all.Of {
		if one.Active && (p == nil || !slices.Contains(p.names, one.Name)) {
			return fmt.Errorf("events lie in the further primary %q, and store.postgres.more does not name it: add it to the settings of every daemon", one.Name)
		}
	}
	return nil
}

// enlistParts gives numbers to the further primaries that are new.
func (s *Store) enlistParts(ctx context.Context, names []string) (all parts, err error) {
	for {
		raw, all, err := s.readParts(ctx)
		if err != nil {
			return all, err
		}
		before := len(all.Of)
		if all.Store == "" {
			all.Store = rand.Text()
		}
		for _, name := range names {
			if all.of(name) != nil {
				continue
			}
			if len(all.Of) == mostParts {
				return all, fmt.Errorf("a store has at most %d further primaries", mostParts)
			}
			all.Of = append(all.Of, parted{Name: name, Number: byte(len(all.Of) + 1)})
		}
		if len(all.Of) == before {
			return all, nil
		}
		text, err := json.Marshal(all)
		if err != nil {
			return all, err
		}
		if err = s.Swap(ctx, partsKey, raw, text); !errors.Is(err, store.ErrConflict) {
			return all, err
		}
	}
}

// claimPart makes a database a further primary of a store, or finds that it is one, before anything
// else is done there. A database that another store has, or the same one under another name, is
// refused, and where events lie already, one that was never claimed.
func claimPart(ctx context.Context, o Options, of mark, active bool) error {
	configs, err := parse(o)
	if err != nil {
		return err
	}
	c, err := configs.connect(ctx)
	if err != nil {
		return err
	}
	defer end(c)
	version, err := readVersion(ctx, c)
	if err != nil {
		return err
	}
	if err := checkVersion(version); err != nil {
		return err
	}
	want, err := json.Marshal(of)
	if err != nil {
		return err
	}
	q := query{ctx, c}
	var has []byte
	switch err := q.one(sqlValue, []any{[]byte(partsKey)}, &has); {
	case err == nil:
		return errors.New("it is the home database of a store: further primaries must be databases of their own")
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	err = q.one(sqlValue, []any{[]byte(partKey)}, &has)
	if errors.Is(err, store.ErrNotFound) && active {
		return errors.New("it is not the database that the events lie in: that one says whose it is")
	}
	if errors.Is(err, store.ErrNotFound) {
		var next int32
		if err := q.one(sqlLockDestinations, nil, &next); err != nil {
			return err
		}
		if next != 1 {
			return errors.New("it has destinations of another store: a further primary begins as an empty database")
		}
		if _, err := c.Exec(ctx, sqlFirstValue, []byte(partKey), want); err != nil {
			return err
		}
		err = q.one(sqlValue, []any{[]byte(partKey)}, &has) // two at a time
	}
	if err == nil && !bytes.Equal(has, want) {
		err = fmt.Errorf("it is a primary of another store, or of this one under another name: it says %s, and should say %s", has, want)
	}
	return err
}

// members are the daemons that work on the database, or may go on to.
func (s *Store) members(ctx context.Context) (ids [][16]byte, err error) {
	err = s.reading(ctx, func(q query) error {
		ids, err = column[[16]byte](q, sqlMembers)
		return err
	})
	return ids, err
}

var errNotYet = errors.New("a daemon does not know the primary yet")

// activate has events go to a further primary once every daemon on the home database works there,
// too. A daemon that does not know it could neither read nor deliver them. Whoever starts later
// finds it active, and does not start without it: both take the lock of those who join.
func (s *Store) activate(ctx context.Context, name string, known [][16]byte) (active bool, err error) {
	_, all, err := s.readParts(ctx)
	if err != nil || all.of(name) == nil || all.of(name).Active {
		return err == nil && all.of(name) != nil, err
	}
	allKnow := func(members [][16]byte) error {
		if slices.ContainsFunc(members, func(id [16]byte) bool { return !slices.Contains(known, id) }) {
			return errNotYet
		}
		return nil
	}
	members, err := s.members(ctx) // costs less than the lock
	if err == nil {
		err = allKnow(members)
	}
	if err == nil {
		err = s.durably(ctx, time.Now(), func(c *changes) error {
			if _, err := c.exec(sqlLockJoin); err != nil {
				return err
			}
			members, err := column[[16]byte](c.query, sqlMembers)
			if err == nil {
				err = allKnow(members)
			}
			if err != nil {
				return err
			}
			var raw []byte
			var all parts
			if err := c.one(sqlValue+" FOR UPDATE", []any{[]byte(partsKey)}, &raw); err != nil {
				return err
			}
			if err := json.Unmarshal(raw, &all); err != nil {
				return err
			}
			if one := all.of(name); one != nil {
				one.Active = true
			}
			text, err := json.Marshal(all)
			if err == nil {
				_, err = c.exec(sqlPutValues, [][]byte{[]byte(partsKey)}, [][]byte{text})
			}
			return err
		})
	}
	if errors.Is(err, errNotYet) {
		return false, nil
	}
	return err == nil, err
}
