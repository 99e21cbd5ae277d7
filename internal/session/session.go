// Package session keeps links to the portal and the sessions of browsers. What opens
// them, the code of a link and the secret of a session, leaves the daemon once, and is
// kept as a hash alone; both have 256 random bits, so that a plain hash will do.
package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// MinLife and MaxLife are how long a session, and a link with its session, may live.
	MinLife, MaxLife = time.Minute, 24 * time.Hour
	// mostLinks bounds the links that live, each with one session at the most, and
	// mostSessions the sessions without a link.
	mostLinks, mostSessions = 10_000, 10_000
	// mostOfOne bounds the sessions that one token has without a link: another one ends the oldest.
	mostOfOne = 100
	// backward is how far the clock may run backward before what was made since ends:
	// otherwise it would live longer than it may by as much.
	backward = 5 * time.Minute

	secretPrefix = "fts_" // tells a session's secret from a token
	codePrefix   = "ftl_"
	linkPrefix   = "lnk_"
)

// IsLink tells whether an id is of the form that those of links have.
func IsLink(id string) bool { return strings.HasPrefix(id, linkPrefix) }

var (
	// ErrUnknown: there is no such code or link, it was used or revoked, or it has expired.
	ErrUnknown = errors.New("no such link, or it was used, revoked, or has expired")
	// ErrFull: there are as many as may be.
	ErrFull = errors.New("as many live as may")
)

// Token is the bearer token on whose word a link or a session was made. Both end when
// its Print is another.
type Token struct {
	Name  string `json:"name"`
	Print string `json:"print"` // hash of its value and rights
}

// Link opens one session of a developer's portal, and ends with it.
type Link struct {
	ID        string    `json:"id"`
	Token     Token     `json:"token"`
	Developer string    `json:"developer"`
	May       []string  `json:"may"`
	Created   time.Time `json:"created"`
	Ends      time.Time `json:"ends"`
	Used      time.Time `json:"used,omitzero"`
}

// Session is a browser that has logged in.
type Session struct {
	Token     Token     `json:"token"`
	Link      string    `json:"link,omitempty"`      // id of the link that it came over; "": a token was shown
	Developer string    `json:"developer,omitempty"` // of the link
	May       []string  `json:"may,omitempty"`       // of the link
	Begun     time.Time `json:"begun"`
	Ends      time.Time `json:"ends"`
}

// Values keeps values by name: a part of store.Registry.
type Values interface {
	Put(ctx context.Context, key string, value []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
}

// lives tells whether what was made at from, and ends at to, lives at now: by the clock on
// the wall, which goes on while a machine sleeps, and over a restart.
func lives(from, to, now time.Time) bool {
	now = now.Round(0)
	return now.Add(backward).After(from) && now.Before(to)
}

func (l *Link) lives(now time.Time) bool { return lives(l.Created, l.Ends, now) }

func (s *Session) lives(now time.Time) bool { return lives(s.Begun, s.Ends, now) }

type hash = [sha256.Size]byte

func hashOf(secret string) hash { return sha256.Sum256([]byte(secret)) }

// Desk gives out links and sessions. Its methods may be called from several goroutines
// at once; what they report as made, used or ended is durable.
type Desk struct {
	values Values

	swap   store.Swapper // nil: the values are this daemon's alone
	change sync.Mutex    // one change at a time, with its writing; also of what follows it here
	raw    [shards][]byte
	read   [shards]time.Time // when a value was read last, of a shared store

	mu    sync.RWMutex // held for what is in memory alone: nobody who shows a session waits for the disk
	links map[hash]Link
	all   map[hash]Session
}

// Open reads what a process before this one has kept. Where v is a store.Swapper, other daemons
// change the same values: see shared.go.
func Open(ctx context.Context, v Values, now time.Time) (*Desk, error) {
	d := &Desk{values: v, links: map[hash]Link{}, all: map[hash]Session{}}
	d.swap, _ = v.(store.Swapper)
	for i := range shards {
		if err := d.load(ctx, i, now); err != nil {
			return nil, fmt.Errorf("read sessions: %w", err)
		}
	}
	return d, nil
}

func random(prefix string) string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: the program would end
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// Begin begins a session of a token, and returns its secret.
func (d *Desk) Begin(ctx context.Context, t Token, now time.Time, life time.Duration) (string, Session, error) {
	return d.begin(ctx, Session{Token: t, Begun: now, Ends: now.Add(min(life, MaxLife))})
}

// begin stores s under a fresh secret.
func (d *Desk) begin(ctx context.Context, s Session) (string, Session, error) {
	secret := random(secretPrefix)
	return secret, s, d.edit(ctx, s.Begun, []int{shardOf(hashOf(secret))}, func(c *edit) error {
		if s.Link == "" && !c.roomFor(s.Token.Name) {
			return ErrFull
		}
		c.set(hashOf(secret), s)
		return nil
	})
}

// Find returns the session of a secret, if it lives.
func (d *Desk) Find(ctx context.Context, secret string, now time.Time) (Session, bool) {
	if !strings.HasPrefix(secret, secretPrefix) {
		return Session{}, false
	}
	h := hashOf(secret)
	d.follow(ctx, shardOf(h), now)
	s, ok := d.find(h)
	if !ok {
		d.look(ctx, shardOf(h), now)
		s, ok = d.find(h)
	}
	return s, ok && s.lives(now)
}

func (d *Desk) find(h hash) (Session, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s, ok := d.all[h]
	return s, ok
}

// End ends the session of a secret; one that is not there has ended.
func (d *Desk) End(ctx context.Context, secret string, now time.Time) error {
	h := hashOf(secret)
	return d.edit(ctx, now, []int{shardOf(h)}, func(c *edit) error {
		c.end(h)
		return nil
	})
}

// MakeLink makes a link of l, with its ID and times, and returns the code that uses it.
func (d *Desk) MakeLink(ctx context.Context, l Link, now time.Time, life time.Duration) (string, Link, error) {
	code := random(codePrefix)
	l.ID, l.Created, l.Ends, l.Used = linkPrefix+strings.ToLower(rand.Text()[:16]), now, now.Add(min(life, MaxLife)), time.Time{}
	return code, l, d.edit(ctx, now, []int{shardOf(hashOf(code))}, func(c *edit) error {
		if len(c.links) >= mostLinks && !c.endLinkOfMost(l.Token.Name) {
			return ErrFull
		}
		c.setLink(hashOf(code), l)
		return nil
	})
}

// Peek returns the link that a code would use, and uses nothing up. ErrUnknown as with UseLink.
func (d *Desk) Peek(ctx context.Context, code string, now time.Time, good func(Token) bool) (Link, error) {
	h := hashOf(code)
	d.look(ctx, shardOf(h), now)
	d.mu.RLock()
	defer d.mu.RUnlock()
	if l, ok := d.links[h]; ok && l.lives(now) && l.Used.IsZero() && good(l.Token) {
		return l, nil
	}
	return Link{}, ErrUnknown
}

// UseLink begins the session that a code is for. Of several who use it one succeeds. good
// tells whether the token still stands for what the link may do.
func (d *Desk) UseLink(ctx context.Context, code string, now time.Time, good func(Token) bool) (string, Session, error) {
	h := hashOf(code)
	var l Link
	err := d.edit(ctx, now, []int{shardOf(h)}, func(c *edit) error { // used before anything is opened with it: a crash must not make it new
		found, ok := c.links[h]
		if !ok || !found.Used.IsZero() || !good(found.Token) {
			return ErrUnknown
		}
		l = found
		l.Used = now
		c.setLink(h, l)
		return nil
	})
	if err != nil {
		return "", Session{}, err
	}
	return d.begin(ctx, Session{Token: l.Token, Link: l.ID, Developer: l.Developer, May: l.May, Begun: now, Ends: l.Ends})
}

// Links lists the links that live, newest first.
func (d *Desk) Links(ctx context.Context, now time.Time) []Link {
	for i := range shards {
		d.follow(ctx, i, now)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	var all []Link
	for _, l := range d.links {
		if l.lives(now) {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b Link) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	return all
}

// Revoke ends a link and its session. ErrUnknown: there is no such link.
func (d *Desk) Revoke(ctx context.Context, id string, now time.Time) error {
	return d.edit(ctx, now, every, func(c *edit) error {
		found := false
		for h, l := range c.links {
			if l.ID == id {
				found = true
				c.endLink(h)
			}
		}
		c.endSessionOf(id)
		if !found {
			return ErrUnknown
		}
		return nil
	})
}

// Keep ends the links and sessions of tokens that are not good any more.
func (d *Desk) Keep(ctx context.Context, now time.Time, good func(Token) bool) error {
	return d.edit(ctx, now, every, func(c *edit) error {
		for h, l := range c.links {
			if !good(l.Token) {
				c.endLink(h)
			}
		}
		for h, s := range c.all {
			if !good(s.Token) {
				c.end(h)
			}
		}
		return nil
	})
}
