package api

import (
	"testing"
	"time"
)

func TestSeries(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("acme", "read", "acme"), token("all", "read"), token("in", "ingest")}})
	s := r.api.Series
	now := time.Now().Add(-10 * time.Minute)
	s.Tick(now, func(uint32) int64 { return 0 })
	d := s.Dest(r.sched.all[0].ID, "webhook")
	d.Accepted(3)
	d.Delivered(20 * time.Millisecond)
	for range 60 {
		now = now.Add(10 * time.Second)
		s.Tick(now, func(uint32) int64 { return 7 })
	}
	for _, c := range []struct {
		query, who   string
		step, points int
	}{
		{"", "all", 10, 360},
		{"?range=1h&kind=webhook", "all", 10, 360},
		{"?range=24h", "all", 60, 1440},
		{"?range=7d", "all", 900, 672},
		{"?developer=acme&destination=app", "all", 300, 288},
		{"?developer=acme&destination=app&range=24h", "acme", 300, 288},
	} {
		var v seriesView
		a := r.do("GET", "/v1/series"+c.query, "", bearer(c.who))
		if a.into(t, &v); a.status != 200 || v.Step != c.step || len(v.Accepted) != c.points || len(v.P99) != c.points {
			t.Errorf("series%s: %s", c.query, a)
			continue
		}
		sum, known := int64(0), 0
		for i, n := range v.Accepted {
			if n != nil {
				sum, known = sum+*n, known+1
			} else if v.Pending[i] != nil || v.P50[i] != nil {
				t.Errorf("series%s: point %d is half there", c.query, i)
			}
		}
		if c.step < 900 && (sum != 3 || known == 0 || known > 61) {
			t.Errorf("series%s: %d accepted at %d points", c.query, sum, known)
		}
	}
	for query, want := range map[string]int{
		"?range=2h": 400, "?developer=acme": 400, "?destination=app": 400, "?developer=acme&destination=app&kind=webhook": 400,
		"?developer=acme&destination=app&range=7d": 400, "?kind=mysql": 404, "?developer=acme&destination=none": 404, "?top=1": 400,
	} {
		if a := r.do("GET", "/v1/series"+query, "", bearer("all")); a.status != want {
			t.Errorf("series%s: %s, want %d", query, a, want)
		}
	}
	// Who sees some developers sees nothing of what others do.
	for query, want := range map[string]int{"": 403, "?kind=webhook": 403, "?developer=initech&destination=crm": 404, "?developer=acme&destination=app": 200} {
		if a := r.do("GET", "/v1/series"+query, "", bearer("acme")); a.status != want {
			t.Errorf("series%s of a token of acme: %s, want %d", query, a, want)
		}
	}
	if a := r.do("GET", "/v1/series", "", bearer("in")); a.status != 403 {
		t.Errorf("a producer: %s", a)
	}
}
