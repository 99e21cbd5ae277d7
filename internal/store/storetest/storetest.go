// Package storetest holds every store to the contract of package store: a
// table of cases by topic, a reference model that random work is compared
// with, and checks of balance after each case.
package storetest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Harness says how a store is opened and what can be done to it. A function
// that is nil is a capability the store does not have: its cases are not listed.
type Harness struct {
	// Open opens a fresh, empty store. The harness closes it, and whatever
	// Reopen, Crash and Restore return, when the test ends.
	Open func(t testing.TB) store.Store
	// Reopen closes s, if nobody has, and opens it again.
	Reopen func(t testing.TB, s store.Store) store.Store
	// Crash is a power failure: it returns a store opened on what was durable at
	// the moment of the call. Calls on s may be running and may go on.
	Crash func(t testing.TB, s store.Store) store.Store
	// BackupDir names a directory that does not exist but can be made. Nil: something
	// else makes backups of the store.
	BackupDir func(t testing.TB, s store.Store) string
	// Restore opens a copy that s.Backup has written to dir.
	Restore func(t testing.TB, s store.Store, dir string) store.Store
	// Stall keeps every commit of s from becoming durable until release is called.
	Stall func(t testing.TB, s store.Store) (release func())
	// Bubble runs each case in a synctest bubble.
	Bubble bool
	// Seeds of the random cases; nil: a few.
	Seeds []uint64
	// Only names the topics to run; nil: all.
	Only []string
}

// need is what a case asks of a Harness.
type need uint8

const (
	needCrash need = 1 << iota
	needStall
	needBubble
	needBackup
)

func (h Harness) has() need {
	var n need
	if h.Crash != nil {
		n |= needCrash
	}
	if h.Stall != nil {
		n |= needStall
	}
	if h.Bubble {
		n |= needBubble
	}
	if h.BackupDir != nil {
		n |= needBackup
	}
	return n
}

// scenario is one case. After it has run, the store must balance.
type scenario struct {
	name string
	need need
	run  func(r *rig)
}

type topic struct {
	name  string
	cases []scenario
}

func topics(h Harness) []topic {
	all := []topic{
		{"append", appendCases()},
		{"clock", clockCases()},
		{"body", bodyCases()},
		{"idempotency", idempotencyCases()},
		{"idempotency by id", idKeyCases()},
		{"due", dueCases()},
		{"settle", settleCases()},
		{"attempts", attemptCases()},
		{"stale", staleCases()},
		{"untouched", untouchedCases()},
		{"move", moveCases()},
		{"replay", replayCases()},
		{"replay over days", replayDayCases()},
		{"counters", counterCases()},
		{"usage", usageCases()},
		{"search", searchCases()},
		{"cursor", cursorCases()},
		{"registry", registryCases()},
		{"settings", settingsCases()},
		{"documents", documentCases()},
		{"acts", actCases()},
		{"retain", retainCases()},
		{"expiry", expiryCases()},
		{"ageing", ageingCases()},
		{"erase", eraseCases()},
		{"backup", backupCases()},
		{"concurrency", concurrencyCases()},
		{"closing", closingCases()},
		{"crash", crashCases()},
		{"stall", stallCases()},
		{"random", randomCases(h)},
	}
	for i := range all {
		all[i].cases = slices.DeleteFunc(all[i].cases, func(c scenario) bool { return c.need&^h.has() != 0 })
	}
	return slices.DeleteFunc(all, func(p topic) bool { return len(p.cases) == 0 || h.Only != nil && !slices.Contains(h.Only, p.name) })
}

// Topics names the topics that h is able to run.
func Topics(h Harness) (names []string) {
	for _, p := range topics(h) {
		names = append(names, p.name)
	}
	return names
}

// Run runs every case that h is able to run.
func Run(t *testing.T, h Harness) {
	for _, p := range topics(h) {
		t.Run(p.name, func(t *testing.T) {
			for _, c := range p.cases {
				t.Run(c.name, func(t *testing.T) {
					if !h.Bubble {
						c.play(t, h)
						return
					}
					synctest.Test(t, func(t *testing.T) { c.play(t, h) })
				})
			}
		})
	}
}

func (c scenario) play(t testing.TB, h Harness) {
	r := &rig{TB: t, h: h, s: h.Open(t), ctx: context.Background(), now: start, bad: new(atomic.Int32)}
	c.run(r)
	if r.s != nil {
		r.balanced()
	}
}
