package storetest

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func clockCases() []scenario {
	return []scenario{
		{"steps back", 0, clockStepsBack},
		{"steps back while closed", 0, clockStepsBackClosed},
		{"steps back when nothing is left", 0, clockStepsBackEmpty},
		{"ordering of the producer is kept", 0, orderingKept},
		{"ordering is the time of acceptance", 0, orderingDerived},
	}
}

// accepted appends an event without an ordering time to dest and checks what it was given.
func (r *rig) accepted(dest uint32, after *event.Event) *event.Event {
	r.Helper()
	e := r.entry(dest)
	it := r.append(e)[0].Items[0]
	if it.Due > r.now.UnixNano() {
		r.Errorf("due %v after acceptance, want now", time.Duration(it.Due-r.now.UnixNano()))
	}
	if after != nil {
		r.increasing(after.ID, e.Event.ID)
		if e.Event.Ordering.Before(after.Ordering) {
			r.Errorf("ordering time ran backward from %v to %v", after.Ordering, e.Event.Ordering)
		}
		if !after.Older(e.Event) {
			r.Errorf("the event accepted later is not the newer one")
		}
	}
	return e.Event
}

func clockStepsBack(r *rig) {
	d := r.dest()
	first := r.accepted(d, nil)
	r.advance(-time.Hour)
	second := r.accepted(d, first)
	r.advance(time.Minute)
	third := r.accepted(d, second)
	r.advance(-48 * time.Hour)
	fourth := r.accepted(d, third)
	r.now = start.Add(time.Second)
	fifth := r.accepted(d, fourth)
	if !fifth.Ordering.Equal(r.now) {
		r.Errorf("ordering %v when the clock is right again, want %v", fifth.Ordering, r.now)
	}
}

func clockStepsBackClosed(r *rig) {
	d := r.dest()
	r.advance(time.Hour)
	first := r.accepted(d, nil)
	r.reopen()
	r.advance(-time.Hour)
	second := r.accepted(d, first)
	r.reopen()
	r.accepted(d, second)
}

// clockStepsBackEmpty: the newest id outlives its event.
func clockStepsBackEmpty(r *rig) {
	d := r.dest()
	last := r.accepted(d, nil)
	for range 3 {
		r.now = midnight(start).Add(3 * day)
		r.retain(store.Retention{Events: day, Attempts: day})
		if n := len(r.events(r.s, store.EventQuery{})); n != 0 {
			r.Fatalf("%d events are left", n)
		}
		r.reopen()
		r.now = start.Add(-time.Hour)
		last = r.accepted(d, last)
	}
}

func orderingKept(r *rig) {
	d := r.dest()
	for _, at := range []time.Time{
		time.Date(2019, 2, 3, 4, 5, 6, 789_012_000, time.UTC),
		time.Date(1970, 1, 1, 0, 0, 0, 1000, time.UTC),
		time.Date(2099, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(1960, 2, 29, 12, 0, 0, 0, time.UTC),
		time.Date(2262, 4, 11, 0, 0, 0, 0, time.UTC), // near the end of what nanoseconds can say
		r.now,
	} {
		e := r.entry(d)
		e.Event.Ordering = at
		a := r.append(e)[0]
		if !e.Event.Ordering.Equal(at) {
			r.Errorf("the producer's ordering %v became %v", at, e.Event.Ordering)
		}
		if a.Items[0].Ordering != at.UnixNano() {
			r.Errorf("item has ordering %d, want %d", a.Items[0].Ordering, at.UnixNano())
		}
		if got := r.record(a.ID).Event.Ordering; !got.Equal(at) {
			r.Errorf("record has ordering %v, want %v", got, at)
		}
		full, err := r.s.Event(r.ctx, a.ID.Day(), a.ID)
		r.must("event", err)
		if !full.Ordering.Equal(at) || full.Ordering.Location() != time.UTC {
			r.Errorf("event has ordering %v, want %v in UTC", full.Ordering, at)
		}
	}
}

func orderingDerived(r *rig) {
	d := r.dest()
	r.advance(123_456_789)
	e := r.accepted(d, nil)
	if e.Ordering.Location() != time.UTC || e.Ordering.Nanosecond()%1000 != 0 {
		r.Errorf("ordering %v, want UTC in whole microseconds", e.Ordering)
	}
	if behind := r.now.Sub(e.Ordering); behind < 0 || behind >= time.Millisecond {
		r.Errorf("ordering %v lies %v behind acceptance", e.Ordering, behind)
	}
	if got := r.record(e.ID).Event.Ordering; !got.Equal(e.Ordering) {
		r.Errorf("record has ordering %v, want %v", got, e.Ordering)
	}
	if it := r.queue(store.QueueID{Dest: d})[0]; it.Ordering != e.Ordering.UnixNano() {
		r.Errorf("item has ordering %d, want %d", it.Ordering, e.Ordering.UnixNano())
	}
}
