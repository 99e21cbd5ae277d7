package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// manyCluster are daemons on a Many; wrap breaks what they see.
type manyCluster struct {
	many    *Many
	mu      sync.Mutex
	members map[int]*Member
	fatal   map[int]error
	wrap    func(*Member) store.Shared
}

func manyHarness(wrap func(*Member) store.Shared) SharedHarness {
	return SharedHarness{Bubble: true, New: func(t testing.TB, lease time.Duration) (Cluster, time.Duration) {
		c := &manyCluster{many: NewMany(ManyOptions{Lease: lease}), members: map[int]*Member{}, fatal: map[int]error{}, wrap: wrap}
		t.Cleanup(func() {
			for _, m := range c.members {
				m.Kill()
			}
		})
		return c, lease
	}}
}

func (c *manyCluster) Open(_ testing.TB, i int, serial func(uint32) bool) store.Shared {
	m := c.many.Open(MemberOptions{Serial: serial, Fatal: func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fatal[i] = err
	}})
	c.members[i] = m
	return c.wrap(m)
}

func (c *manyCluster) Kill(_ testing.TB, i int)       { c.members[i].Kill() }
func (c *manyCluster) Cut(_ testing.TB, i int) func() { return c.members[i].Cut() }

func (c *manyCluster) Fatal(i int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fatal[i]
}

func TestManyConforms(t *testing.T) {
	RunShared(t, manyHarness(func(m *Member) store.Shared { return m }))
}

// TestManyConformsAlone: one daemon on a Many keeps the whole contract of a store.
func TestManyConformsAlone(t *testing.T) {
	open := func(t testing.TB, s *Many) store.Store {
		m := s.Open(MemberOptions{})
		t.Cleanup(m.Kill)
		return m
	}
	Run(t, Harness{
		Open: func(t testing.TB) store.Store { return open(t, NewMany(ManyOptions{})) },
		Reopen: func(t testing.TB, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			return open(t, s.(*Member).many)
		},
		Bubble: true,
	})
}
