package session

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// shards are the values that everything is spread over, so that a change writes little.
const shards = 64

func shardOf(h hash) int { return int(h[0]) % shards }

// shard is one value as it is stored: hashes in hex.
type shard struct {
	Links    map[string]Link    `json:"links,omitempty"`
	Sessions map[string]Session `json:"sessions,omitempty"`
}

func shardKey(i int) string { return fmt.Sprintf("sessions/%02d", i) }

// load reads a value. It needs Desk.change, but for Open.
func (d *Desk) load(ctx context.Context, i int, now time.Time) error {
	value, err := d.values.Get(ctx, shardKey(i))
	if errors.Is(err, store.ErrNotFound) {
		value, err = nil, nil
	}
	if err != nil {
		return err
	}
	var s shard
	if len(value) > 0 && json.Unmarshal(value, &s) != nil {
		s = shard{} // whoever it was logs in again: no reason not to start
	}
	d.raw[i], d.read[i] = value, now
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.links, func(h hash, _ Link) bool { return shardOf(h) == i })
	maps.DeleteFunc(d.all, func(h hash, _ Session) bool { return shardOf(h) == i })
	read(s.Links, d.links, func(l Link) bool { return l.lives(now) })
	read(s.Sessions, d.all, func(s Session) bool { return s.lives(now) })
	return nil
}

// read takes over what lives. A key that is no hash opens nothing.
func read[T any](from map[string]T, into map[hash]T, lives func(T) bool) {
	for key, v := range from {
		b, err := hex.DecodeString(key)
		if err == nil && len(b) == len(hash{}) && lives(v) {
			into[hash(b)] = v
		}
	}
}

// edit is a change on its way: what will be, and which values differ by it.
type edit struct {
	d     *Desk
	links map[hash]Link
	all   map[hash]Session
	dirty map[int]bool
}

// begun begins a change of what lives at now. It needs Desk.change.
func (d *Desk) begun(now time.Time) *edit {
	d.mu.RLock()
	defer d.mu.RUnlock()
	c := &edit{d, maps.Clone(d.links), maps.Clone(d.all), map[int]bool{}}
	maps.DeleteFunc(c.links, func(_ hash, l Link) bool { return !l.lives(now) })
	maps.DeleteFunc(c.all, func(_ hash, s Session) bool { return !s.lives(now) })
	return c
}

// edit makes a change, all of it or, after an error of f, nothing. Where other daemons change the
// same values, those named by of are read before, and f is called again after one of them has changed.
func (d *Desk) edit(ctx context.Context, now time.Time, of []int, f func(*edit) error) error {
	d.change.Lock()
	defer d.change.Unlock()
	for try := 1; ; try++ {
		if err := d.loadAll(ctx, of, now); err != nil {
			return err
		}
		c := d.begun(now)
		if err := f(c); err != nil {
			return err
		}
		err := c.commit(ctx)
		if !errors.Is(err, store.ErrConflict) || try == mostTries {
			return err
		}
		of = slices.Collect(maps.Keys(c.dirty))
	}
}

func (c *edit) set(h hash, s Session) { c.all[h], c.dirty[shardOf(h)] = s, true }

func (c *edit) setLink(h hash, l Link) { c.links[h], c.dirty[shardOf(h)] = l, true }

func (c *edit) end(h hash) {
	if _, there := c.all[h]; there {
		delete(c.all, h)
		c.dirty[shardOf(h)] = true
	}
}

func (c *edit) endLink(h hash) {
	delete(c.links, h)
	c.dirty[shardOf(h)] = true
}

// endSessionOf ends the session that a link opened.
func (c *edit) endSessionOf(link string) {
	for h, s := range c.all {
		if s.Link == link {
			c.end(h)
		}
	}
}

// endLinkOfMost ends the oldest link of the token that has the most, and its session. It
// returns false where that is the token that asks for another: nobody who may make links
// for one developer keeps others from theirs.
func (c *edit) endLinkOfMost(token string) bool {
	count := map[string]int{}
	for _, l := range c.links {
		count[l.Token.Name]++
	}
	most := token
	for name, n := range count {
		if n > count[most] || n == count[most] && most != token && name < most {
			most = name
		}
	}
	if most == token {
		return false
	}
	var oldest hash
	for h, l := range c.links {
		if first := c.links[oldest]; l.Token.Name == most && (first.ID == "" || l.Created.Before(first.Created)) {
			oldest = h
		}
	}
	c.endSessionOf(c.links[oldest].ID)
	c.endLink(oldest)
	return true
}

// roomFor makes room for one more session of a token without a link, and tells whether
// there is some.
func (c *edit) roomFor(token string) bool {
	var oldest hash
	var begun time.Time
	all, n := 0, 0
	for h, s := range c.all {
		if s.Link != "" {
			continue
		}
		all++
		if s.Token.Name != token {
			continue
		}
		if n++; n == 1 || s.Begun.Before(begun) {
			oldest, begun = h, s.Begun
		}
	}
	if n >= mostOfOne {
		c.end(oldest)
		all--
	}
	return all < mostSessions
}

// commit stores what differs, and then puts it in force. What ends does so even where
// that cannot be stored: the error says that it may come back with the next start.
func (c *edit) commit(ctx context.Context) error {
	var failed error
	for i := range c.dirty {
		if failed = c.write(ctx, i); failed != nil {
			break
		}
	}
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if failed == nil {
		c.d.links, c.d.all = c.links, c.all
		return nil
	}
	maps.DeleteFunc(c.d.links, func(h hash, _ Link) bool { _, stays := c.links[h]; return !stays })
	maps.DeleteFunc(c.d.all, func(h hash, _ Session) bool { _, stays := c.all[h]; return !stays })
	return fmt.Errorf("store sessions: %w", failed)
}

func (c *edit) write(ctx context.Context, i int) error {
	s := shard{Links: map[string]Link{}, Sessions: map[string]Session{}}
	for h, l := range c.links {
		if shardOf(h) == i {
			s.Links[hex.EncodeToString(h[:])] = l
		}
	}
	for h, v := range c.all {
		if shardOf(h) == i {
			s.Sessions[hex.EncodeToString(h[:])] = v
		}
	}
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if c.d.swap == nil {
		return c.d.values.Put(ctx, shardKey(i), value)
	}
	if err = c.d.swap.Swap(ctx, shardKey(i), c.d.raw[i], value); err == nil {
		c.d.raw[i] = value
	}
	return err
}
