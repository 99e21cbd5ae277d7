package sqltablestest

import (
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Stories are lists of five auth and data events, by their ordering times, that
// disagree about the same users as much as five can. The tables must end in the
// same rows whatever the order in which they arrive.
func Stories(tb testing.TB) (all [][]*event.Event) {
	tb.Helper()
	for s, bodies := range [][]string{
		{ // what the newest says of a column, nulls never erase, states by state events
			`{"type":"auth","status":"success","user":{"user_id":"u","reference_id":"r1","scopes":"s1","provider":"P1"}}`,
			`{"type":"auth","status":"error","user":{"user_id":"u","scopes":"s2"}}`,
			`{"type":"daily","user":{"user_id":"u","reference_id":"r3"},"data":[{},{}]}`,
			`{"type":"sleep","user":{"user_id":"u","provider":"P4","scopes":null},"data":[]}`,
			`{"type":"body","user":{"user_id":"u","reference_id":null},"data":[{}]}`,
		},
		{ // two users that a reauth connects
			`{"type":"auth","status":"success","user":{"user_id":"a","reference_id":"r","provider":"P"}}`,
			`{"type":"deauth","user":{"user_id":"a","scopes":"s","provider":"P"}}`,
			`{"type":"user_reauth","old_user":{"user_id":"a","provider":"P"},"new_user":{"user_id":"b","provider":"P"}}`,
			`{"type":"connection_error","user":{"user_id":"b","reference_id":"r2"}}`,
			`{"type":"daily","user":{"user_id":"a","reference_id":"r3"},"data":[{"metadata":{"start_time":"2026-07-01"}}]}`,
		},
		{ // no state event at all, and one that is nobody's
			`{"type":"daily","user":{"user_id":"u"},"data":[{}]}`,
			`{"type":"sleep","user":{"user_id":"u","reference_id":"r"},"data":[{}]}`,
			`{"type":"healthcheck"}`,
			`{"type":"rate_limit_hit","user":{"user_id":"u","provider":"P"}}`,
			`{"type":"lab_report.completed","data":{}}`,
		},
	} {
		var events []*event.Event
		for i, body := range bodies {
			e := destinationtest.Delivery(tb, 10*s+i+1, []byte(body)).Event
			if i == 4 { // of the same time as the one before: ids decide
				e.Ordering = events[3].Ordering
			}
			events = append(events, e)
		}
		all = append(all, events)
	}
	return all
}

// Permute calls f with every order of n things; f must not keep it.
func Permute(n int, f func(order []int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var next func(k int)
	next = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			next(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	next(0)
}
