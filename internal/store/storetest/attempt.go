package storetest

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func attemptCases() []scenario {
	return []scenario{
		{"every field is kept", 0, attemptFields},
		{"oldest first", 0, attemptsOldestFirst},
		{"two that began at one instant", 0, attemptsAtOneInstant},
		{"many of one delivery", 0, attemptsMany},
		{"belong to their delivery", 0, attemptsApart},
	}
}

func attemptFields(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	at := r.now.UnixNano()
	want := []store.Attempt{
		{At: at, Class: "transient", Code: 503, Counted: true},
		{At: at + 1, Took: time.Millisecond, Class: "throttled", Code: 429, Answer: "slow down", Address: "[2001:db8::1%eth0]:65535", Counted: true, Requests: 2},
		{At: at + 2, Took: 30 * time.Second, Class: "rejected", Code: -1, Answer: strings.Repeat("\u00e9", 512), Counted: true},
		{At: at + 3, Took: 24 * time.Hour, Class: "misconfigured", Code: math.MaxInt32, Answer: `a\x00b`, Requests: 127},
		{At: at + 4, Class: "interrupted", Answer: "\u4e16\u754c|/%_"},
		{At: at + 5, Class: "expired", Answer: strings.Repeat("x", 1024), Address: strings.Repeat("y", 300)},
		{At: at + 6, Took: 5 * time.Millisecond, Class: "delivered", Code: 204, Counted: true},
	}
	for _, a := range want {
		o := r.interrupted(it)
		o.Attempt = &a
		it = r.settle(o)[0].Item
	}
	r.reopen()
	if _, got := r.delivery(it.ID); !slices.Equal(got, want) {
		r.Errorf("attempts:\n%+v, want\n%+v", got, want)
	}
}

// attemptsOldestFirst logs attempts in an order that is neither that of their
// beginning nor that of the changes between them.
func attemptsOldestFirst(r *rig) {
	d := r.dest()
	first := r.post(d)[0]
	slow := r.delivered(first)
	r.advance(time.Second)
	second := r.move(store.Retry, first.ID)[0].Item
	r.advance(time.Second)
	quick := r.failed(second, time.Minute, 0)
	r.settle(quick)
	r.advance(time.Second)
	third := r.move(store.Retry, first.ID)[0].Item
	r.advance(time.Second)
	now := r.rejected(third)
	r.settle(now)
	r.settle(slow)
	if _, got := r.delivery(first.ID); !slices.Equal(got, []store.Attempt{*slow.Attempt, *quick.Attempt, *now.Attempt}) {
		r.Errorf("attempts %+v, want those of %d, %d, %d", got, slow.Attempt.At, quick.Attempt.At, now.Attempt.At)
	}

	other := r.post(d)[0]
	fresh := r.move(store.Retry, other.ID)[0].Item
	began := r.failed(fresh, time.Minute, 0)
	r.advance(time.Second)
	overtaken := r.rejected(other) // still in somebody's window when it was retried, and begun after that
	r.settle(overtaken, began)
	if _, got := r.delivery(other.ID); !slices.Equal(got, []store.Attempt{*began.Attempt, *overtaken.Attempt}) {
		r.Errorf("attempts %+v, want that of %d first", got, began.Attempt.At)
	}
}

// attemptsAtOneInstant: a person retries while an attempt is in flight, and the clock is coarse.
func attemptsAtOneInstant(r *rig) {
	d := r.dest()
	old := r.post(d)[0]
	fresh := r.move(store.Retry, old.ID)[0].Item
	one, two := r.failed(fresh, time.Minute, 0), r.rejected(old)
	one.Attempt.At = two.Attempt.At
	r.settle(one, two)
	if _, got := r.delivery(old.ID); len(got) != 2 {
		r.Errorf("%d of 2 attempts are logged: %+v", len(got), got)
	}
}

func attemptsMany(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	var want []store.Attempt
	for range 300 {
		o := r.failed(it, time.Second, 0)
		want = append(want, *o.Attempt)
		it = r.settle(o)[0].Item
		r.advance(7 * time.Minute)
	}
	if it.Attempts != 300 {
		r.Errorf("the item counts %d attempts", it.Attempts)
	}
	if _, got := r.delivery(it.ID); !slices.Equal(got, want) {
		r.Errorf("%d attempts, want 300 in order", len(got))
	}
}

func attemptsApart(r *rig) {
	dests := r.dests(300)
	its := r.post(dests...)
	other := r.post(dests[0])[0]
	its = append(its, other)
	want := make([]store.Attempt, len(its))
	for i, it := range its {
		o := r.rejected(it)
		o.Attempt.Code, want[i] = i, *o.Attempt
		want[i].Code = i
		r.settle(o)
	}
	for i, it := range its {
		if _, got := r.delivery(it.ID); len(got) != 1 || got[0] != want[i] {
			r.Errorf("delivery %v has attempts %+v, want %+v", it.ID, got, want[i])
		}
	}
}
