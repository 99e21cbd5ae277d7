package storetest

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// attempt makes the record of a try that has just ended.
func (r *rig) attempt(class string, code int, counted bool) *store.Attempt {
	r.n++
	return &store.Attempt{
		At: r.now.Add(-time.Second).UnixNano() + int64(r.n), Took: 37 * time.Millisecond, Class: class, Code: code,
		Answer: "answer", Address: "192.0.2.1:443", Counted: counted,
	}
}

func (r *rig) delivered(it store.Item) store.Outcome {
	return store.Outcome{Item: it, Attempt: r.attempt("delivered", 200, true), State: store.Delivered, Attempts: it.Attempts + 1}
}

// failed is a counted failure with another try after wait, in the queue of settings.
func (r *rig) failed(it store.Item, wait time.Duration, settings uint64) store.Outcome {
	return store.Outcome{
		Item: it, Attempt: r.attempt("transient", 503, true), State: store.Pending,
		Due: r.now.Add(wait).UnixNano(), Settings: settings, Attempts: it.Attempts + 1,
	}
}

func (r *rig) rejected(it store.Item) store.Outcome {
	return store.Outcome{Item: it, Attempt: r.attempt("rejected", 422, true), State: store.Dead, Reason: "rejected", Attempts: it.Attempts + 1}
}

// interrupted is an attempt that does not count: the delivery stays where it was, due soon.
func (r *rig) interrupted(it store.Item) store.Outcome {
	return store.Outcome{
		Item: it, Attempt: r.attempt("interrupted", 0, false), State: store.Pending,
		Due: r.now.Add(time.Second).UnixNano(), Settings: it.Queue.Settings, Attempts: it.Attempts,
	}
}

// rebound is what becomes of a delivery whose frozen settings are at fault.
func (r *rig) rebound(it store.Item) store.Outcome {
	return store.Outcome{
		Item: it, Attempt: r.attempt("misconfigured", 403, false), State: store.Pending,
		Due: r.now.UnixNano(), Attempts: it.Attempts,
	}
}

// stale outcomes that a delivery can have, each made from an item.
func (r *rig) outcomes() map[string]func(store.Item) store.Outcome {
	return map[string]func(store.Item) store.Outcome{
		"delivered":   r.delivered,
		"failed":      func(it store.Item) store.Outcome { return r.failed(it, time.Minute, it.Queue.Settings) },
		"frozen":      func(it store.Item) store.Outcome { return r.failed(it, time.Minute, 77) },
		"rejected":    r.rejected,
		"interrupted": r.interrupted,
		"rebound":     r.rebound,
		"untried": func(it store.Item) store.Outcome {
			o := r.interrupted(it)
			o.Attempt = nil
			return o
		},
	}
}
