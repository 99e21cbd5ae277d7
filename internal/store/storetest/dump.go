package storetest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// dump writes down all that can be read from s, a line each, sorted. Two stores
// with the same dump are the same to whoever uses them. Versions are a store's
// own and are left out unless asked for.
func (r *rig) dump(s store.Store, versions bool) []string {
	r.Helper()
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, e := range r.events(s, store.EventQuery{}) {
		if e.Gone != "" {
			line("event %v %s to %v: gone", e.Event.ID, e.Event.Developer, sorted(e.To))
			continue
		}
		full, err := s.Event(r.ctx, e.Event.ID.Day(), e.Event.ID)
		r.must("event "+e.Event.ID.String(), err)
		head := *full
		if !sameTrace(head.Trace, e.Event.Trace) {
			r.Errorf("trace %+v, of the record %+v", head.Trace, e.Event.Trace)
		}
		head.Body, head.Trace, e.Event.Trace = nil, nil, nil // whose address says nothing
		if a, b := fmt.Sprintf("%+v", head), fmt.Sprintf("%+v", e.Event); a != b {
			r.Errorf("event and its record differ:\n%s\n%s", a, b)
		}
		line("event %+v to %v: %d bytes %x, trace %+v", e.Event, sorted(e.To), e.Size, sha256.Sum256(full.Body), full.Trace)
	}
	for _, d := range r.deliveries(s, store.DeliveryQuery{}) {
		got, as, err := s.Delivery(r.ctx, d.ID)
		r.must("delivery "+d.ID.String(), err)
		if got != d {
			r.Errorf("delivery is listed as %+v and read as %+v", d, got)
		}
		line("delivery %s", deliveryText(d).text())
		if !slices.IsSortedFunc(as, byAge) {
			r.Errorf("attempts of %v are not listed oldest first: %+v", d.ID, as)
			slices.SortStableFunc(as, byAge)
		}
		for i, a := range as {
			line("delivery %v attempt %d: %+v", d.ID, i, a)
		}
	}
	qs, err := s.Queues(r.ctx)
	r.must("queues", err)
	for _, h := range qs {
		q := h.Queue
		items, _, err := s.Due(r.ctx, q, store.Position{}, 1<<62, 1<<20)
		r.must("due", err)
		for i, it := range items {
			if !versions {
				it.Version = 0
			}
			line("queue %v item %06d: %+v", q, i, it)
		}
	}
	ds, err := s.Destinations(r.ctx)
	r.must("destinations", err)
	for _, d := range ds {
		d.State.Since, d.Version = d.State.Since.UTC(), 0
		line("destination %+v: %+v", d, s.Counts(d.ID))
	}
	slices.Sort(lines)
	return lines
}

func byAge(a, b store.Attempt) int { return cmp.Compare(a.At, b.At) }

type deliveryText store.DeliveryRecord

// text leaves out what the contract leaves open: settings and due of what is
// not pending, and the words for why something was cancelled.
func (d deliveryText) text() string {
	if d.State != store.Pending {
		d.Due, d.Settings = 0, 0
	}
	if d.State == store.Cancelled {
		d.Reason = ""
	}
	return fmt.Sprintf("%+v", store.DeliveryRecord(d))
}

func sorted(ids []uint32) []uint32 {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

// same fails the case when two dumps differ, showing the lines that do.
func (r *rig) same(what string, got, want []string) {
	r.Helper()
	if slices.Equal(got, want) {
		return
	}
	var b bytes.Buffer
	n := 0
	report := func(sign string, from, other []string) {
		for _, l := range from {
			if _, found := slices.BinarySearch(other, l); !found {
				if n++; n <= 30 {
					fmt.Fprintf(&b, "%s %s\n", sign, l)
				}
			}
		}
	}
	report("got ", got, want)
	report("want", want, got)
	r.Fatalf("%s: %d lines differ:\n%s", what, n, strings.TrimSpace(b.String()))
}
