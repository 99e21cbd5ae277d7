package session

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// common is a drawer that several daemons have.
type common struct {
	drawer
	reads     atomic.Int64
	meanwhile func() // is called once, behind the next read
}

func (c *common) Get(ctx context.Context, key string) ([]byte, error) {
	c.reads.Add(1)
	v, err := c.drawer.Get(ctx, key)
	if f := c.meanwhile; f != nil {
		c.meanwhile = nil
		f()
	}
	return v, err
}

func (c *common) Swap(_ context.Context, key string, was, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if now, there := c.values[key]; there != (was != nil) || !bytes.Equal(now, was) {
		return store.ErrConflict
	}
	c.values[key] = bytes.Clone(value)
	return nil
}

var _ store.Swapper = (*common)(nil)

func two(t *testing.T) (c *common, a, b *Desk) {
	c = &common{drawer: drawer{values: map[string][]byte{}}}
	return c, open(t, c, noon), open(t, c, noon)
}

// Whoever logs in at one daemon is known at all at once, and whoever is logged out at one is
// out everywhere a second later.
func TestSessionsAreOfAllDaemons(t *testing.T) {
	c, a, b := two(t)
	secret := begin(t, a, noon, time.Hour)
	if _, ok := b.Find(t.Context(), secret, noon.Add(time.Millisecond)); !ok {
		t.Error("the other daemon does not know the session")
	}
	if err := a.End(t.Context(), secret, noon.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Find(t.Context(), secret, noon.Add(1100*time.Millisecond)); ok {
		t.Error("a session that ended at one daemon goes on at the other")
	}
	other := begin(t, a, noon, time.Hour)
	if err := b.End(t.Context(), other, noon); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Find(t.Context(), other, noon.Add(time.Second)); ok {
		t.Error("a session that the other daemon never saw cannot be ended there")
	}
	again := begin(t, a, noon, time.Hour)
	before := c.reads.Load()
	for range 1000 {
		if _, ok := a.Find(t.Context(), again, noon.Add(500*time.Millisecond)); !ok {
			t.Fatal("it is gone")
		}
	}
	if n := c.reads.Load() - before; n > 2 {
		t.Errorf("a session that is known costs %d reads within a second", n)
	}
}

// A link opens one session, at whichever daemon and however many try at a time.
func TestALinkIsUsedOnceOfAllDaemons(t *testing.T) {
	_, a, b := two(t)
	code, l, err := a.MakeLink(t.Context(), Link{Token: token, Developer: "acme"}, noon, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var used atomic.Int64
	var tries sync.WaitGroup
	for _, d := range []*Desk{a, b, a, b} {
		tries.Go(func() {
			_, _, err := d.UseLink(t.Context(), code, noon, all)
			if err == nil {
				used.Add(1)
			} else if !errors.Is(err, ErrUnknown) {
				t.Error(err)
			}
		})
	}
	tries.Wait()
	if used.Load() != 1 {
		t.Errorf("it was used %d times", used.Load())
	}
	if links := b.Links(t.Context(), noon.Add(time.Second)); len(links) != 1 || links[0].ID != l.ID || links[0].Used.IsZero() {
		t.Errorf("the other daemon lists %+v", links)
	}
	if err := b.Revoke(t.Context(), l.ID, noon); err != nil {
		t.Errorf("revoke at the other daemon: %v", err)
	}
	if links := a.Links(t.Context(), noon.Add(time.Second)); len(links) != 0 {
		t.Errorf("revoked, and listed: %+v", links)
	}
}

// Between what one daemon reads and what it writes, another uses the link.
func TestALinkThatIsUsedMeanwhileOpensNothingMore(t *testing.T) {
	c, a, b := two(t)
	code, _, err := a.MakeLink(t.Context(), Link{Token: token, Developer: "acme"}, noon, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	used := errors.New("it was not tried")
	c.meanwhile = func() { _, _, used = b.UseLink(t.Context(), code, noon, all) }
	if _, _, err := a.UseLink(t.Context(), code, noon, all); !errors.Is(err, ErrUnknown) || used != nil {
		t.Errorf("used twice: %v, and meanwhile %v", err, used)
	}
}

// Two daemons that change one value undo nothing of each other.
func TestChangesOfTwoDaemonsStand(t *testing.T) {
	c, a, b := two(t)
	var secrets [2][]string
	var changes sync.WaitGroup
	for i, d := range []*Desk{a, b} {
		changes.Go(func() {
			for range 50 { // of 64 values many are changed by both
				secret, _, err := d.Begin(t.Context(), token, noon, time.Hour)
				if err != nil {
					t.Error(err)
				}
				secrets[i] = append(secrets[i], secret)
			}
		})
	}
	changes.Wait()
	fresh := open(t, c, noon)
	for _, secret := range append(secrets[0], secrets[1]...) {
		if _, ok := fresh.Find(t.Context(), secret, noon); !ok {
			t.Error("a session is gone")
		}
	}
}

// While the database does not answer, who is known stays known, and nobody waits for long.
func TestSessionsGoOnWithoutTheDatabase(t *testing.T) {
	c, a, _ := two(t)
	secret := begin(t, a, noon, time.Hour)
	c.mu.Lock()
	c.values = map[string][]byte{shardKey(0): []byte(strings.Repeat("x", 10))}
	c.mu.Unlock()
	down := &down{common: c}
	a.values, a.swap = down, down
	if _, ok := a.Find(t.Context(), secret, noon.Add(time.Minute)); !ok {
		t.Error("a session ended with the database")
	}
	if err := a.End(t.Context(), secret, noon.Add(time.Minute)); err == nil {
		t.Error("it is said to have ended")
	}
}

type down struct{ *common }

func (d *down) Get(context.Context, string) ([]byte, error) { return nil, errors.New("it is away") }
