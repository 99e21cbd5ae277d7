package storetest

import (
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func lastKept(r *rig) {
	dests := r.dests(3)
	full := store.Last{
		Success: r.now.UnixNano(), Settings: 1<<64 - 1, Failed: 1 << 20,
		Answer: store.Answer{At: r.now.UnixNano() + 1, Class: "transient", Code: 503, Text: strings.Repeat("\u2014", 80), Fault: "answered 503\x00"},
	}
	for i := range 30 {
		full.Dead.Add(r.now.Add(time.Duration(i)*time.Hour).UnixNano(), uint32(1)<<i)
	}
	for _, last := range []store.Last{full, {Success: 1}, {Answer: store.Answer{Code: -1}}, {}} {
		state := store.DestinationState{Held: true, Reason: "401", Since: r.now}
		r.must("set last", r.s.SetLast(r.ctx, map[uint32]store.Last{dests[0]: full, dests[1]: last}))
		r.must("set state", r.setState(dests[1], state))
		for range 2 {
			all := r.registered()
			if got := all[dests[1]]; got.Last != last || !got.State.Held {
				r.Errorf("last %+v, want %+v; state %+v", got.Last, last, got.State)
			}
			if all[dests[0]].Last != full || all[dests[2]].Last != (store.Last{}) {
				r.Errorf("other destinations changed: %+v", all)
			}
			r.reopen()
		}
	}
	r.must("set none", r.s.SetLast(r.ctx, nil))
}

func lastUnknown(r *rig) {
	d := r.dest()
	for _, id := range []uint32{0, d + 1, 1<<32 - 1} {
		r.wants("last answer of what is not known", r.s.SetLast(r.ctx, map[uint32]store.Last{id: {Success: 1}, d: {Success: 2}}), store.ErrNotFound)
	}
	if got := r.registered()[d].Last; got != (store.Last{}) {
		r.Errorf("half of it was stored: %+v", got)
	}
}
