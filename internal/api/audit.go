package api

import (
	"cmp"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// countsView are the counters of one destination.
type countsView struct {
	Accepted  int64 `json:"accepted"`
	Delivered int64 `json:"delivered"`
	Pending   int64 `json:"pending"`
	Dead      int64 `json:"dead"`
	Cancelled int64 `json:"cancelled"`
}

// auditView is one row of the audit.
type auditView struct {
	Developer   string `json:"developer"`
	Destination string `json:"destination"`
	Kind        string `json:"kind"`
	countsView
	Balanced  bool        `json:"balanced"`
	Recounted *countsView `json:"recounted,omitempty"`
}

func viewCounts(c *store.Counts) countsView {
	return countsView{c.Accepted, c.Delivered, c.Pending, c.Dead, c.Cancelled}
}

// sums tells whether everything accepted is somewhere.
func (c countsView) sums() bool {
	return c.Accepted == c.Delivered+c.Pending+c.Dead+c.Cancelled
}

// audit says what became of everything accepted.
func (a *API) audit(c *call) error {
	q := &c.query
	deep := q.flag("deep")
	if q.err != nil {
		return q.err
	}
	if deep {
		if !a.deep.TryLock() {
			return refuse(409, "audit_running", "a deep audit is running: one at a time")
		}
		defer a.deep.Unlock()
	}
	rows, err := a.Store.Audit(c.r.Context(), deep, func(int64) {})
	if err != nil {
		return err
	}
	names, developer := a.Daemon.Names(), q.text("developer")
	views := make([]auditView, 0, len(rows))
	for _, r := range rows {
		key := names.Key(r.Dest)
		if !c.who.sees(key.Developer) || developer != "" && key.Developer != developer {
			continue
		}
		v := auditView{Developer: key.Developer, Destination: key.Name, Kind: key.Kind, countsView: viewCounts(&r.Counts)}
		v.Balanced = v.sums()
		if r.Recounted != nil {
			recounted := viewCounts(r.Recounted)
			v.Recounted = &recounted
			v.Balanced = v.Balanced && recounted == v.countsView
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b auditView) int {
		return cmp.Or(cmp.Compare(a.Developer, b.Developer), cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.Kind, b.Kind))
	})
	return c.json(200, views)
}
