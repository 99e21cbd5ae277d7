package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/replay"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
)

// newReplays runs replays over the store of a rig.
func newReplays(t testing.TB, s *pebblestore.Store, sched *scheduler, ids []uint32) (*replay.Runner, error) {
	every := func(string) bool { return true }
	targets := replay.NewTargets([]replay.Target{
		{ID: ids[0], Developer: "acme", Name: "app", Matches: every},
		{ID: ids[1], Developer: "acme", Name: "night", Matches: func(typ string) bool { return typ == "sleep" }},
		{ID: ids[2], Developer: "initech", Name: "crm", Matches: every},
	})
	r, err := replay.New(t.Context(), replay.Options{Store: s, Scheduler: sched, Targets: func() *replay.Targets { return targets }})
	if err == nil {
		r.Start()
		t.Cleanup(r.Stop)
	}
	return r, err
}

// noReplays is for tests that never ask.
type noReplays struct{ Replays }

// ended waits for the end of a replay.
func (r *rig) ended(id uint32, headers ...string) replay.Replay {
	r.t.Helper()
	var p replay.Replay
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if r.do("GET", fmt.Sprint("/v1/replays/", id), "", headers...).into(r.t, &p); p.State != replay.Running {
			return p
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("it does not end: %+v", p)
	return p
}

func TestReplays(t *testing.T) {
	r := newRig(t, setup{})
	var ids []string
	for range 3 {
		ids = append(ids, r.post(sleep))
	}
	cancelled := r.do("POST", "/v1/deliveries/cancel", `{"developer":"acme","destination":"app"}`)
	if !strings.Contains(string(cancelled.body), `"changed":3`) {
		t.Fatal(cancelled)
	}
	var p replay.Replay
	for _, dry := range []bool{true, false} {
		body := fmt.Sprintf(`{"developer":"acme","destination":"app","states":["cancelled"],"since":"2020-01-01T00:00:00Z","rate":5000,"dry_run":%v}`, dry)
		a := r.do("POST", "/v1/replays", body)
		if a.status != 201 {
			t.Fatal(a)
		}
		a.into(t, &p)
		p = r.ended(p.ID)
		want := replay.Counts{Found: 3}
		if !dry {
			want.Made = 3
		}
		if p.Counts != want || p.State != replay.Finished || p.By != "local" || p.DryRun != dry || p.Rate != 5000 {
			t.Errorf("ended as %+v", p)
		}
	}
	for _, id := range ids {
		a := r.do("GET", "/v1/deliveries?destination=app&event="+id, "")
		if n := strings.Count(string(a.body), `"state"`); n != 2 || !strings.Contains(string(a.body), fmt.Sprintf("%s_1_%d_", id, p.ID)) {
			t.Errorf("deliveries of %s: %s", id, a)
		}
	}
	if r.sched.moved < 3 {
		t.Errorf("the scheduler heard of %d deliveries", r.sched.moved)
	}
	rows, err := r.store.Audit(t.Context(), true, nil)
	if err != nil || rows[0].Counts != *rows[0].Recounted || rows[0].Counts != (store.Counts{Accepted: 6, Cancelled: 3, Pending: 3, PendingBytes: rows[0].Counts.PendingBytes}) {
		t.Errorf("audit %+v, %v", rows, err)
	}
	r.do("POST", "/v1/replays", `{"developer":"acme"}`).into(t, &p)
	r.ended(p.ID)
	var list page[replay.Replay]
	r.do("GET", "/v1/replays?limit=1", "").into(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != 3 || list.Next != "3" {
		t.Errorf("the first page: %+v", list)
	}
	r.do("GET", "/v1/replays?limit=1&cursor="+list.Next, "").into(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != 2 || list.Next != "" {
		t.Errorf("the last page: %+v", list)
	}
	if p := r.ended(1); !p.DryRun {
		t.Errorf("what was counted: %+v", p)
	}
}

// An event named by its id goes alone, though its neighbour is the same but for the id; one that the caller
// may not see is as one that is not there.
func TestReplayOfOneEvent(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("ops", "operate ingest read"), token("acme", "operate read", "acme")}})
	as := func(who, body string) answer { return r.do("POST", "/v1/replays", body, bearer(who)) }
	id, other := r.post(sleep, bearer("ops")), r.post(sleep, bearer("ops"))
	var accepted struct{ ID string }
	r.do("POST", "/v1/events", sleep, bearer("ops"), "dev-id: initech").into(t, &accepted)
	foreign := accepted.ID
	r.do("POST", "/v1/deliveries/cancel", `{"all":true}`, bearer("ops"))
	var p replay.Replay
	as("acme", fmt.Sprintf(`{"developer":"acme","destination":"app","events":[%q],"states":["cancelled"]}`, id)).into(t, &p)
	if p = r.ended(p.ID, bearer("acme")); p.Made != 1 || len(p.Events) != 1 || p.Events[0].String() != id {
		t.Errorf("ended as %+v", p)
	}
	for id, want := range map[string]int{id: 2, other: 1} {
		a := r.do("GET", "/v1/deliveries?destination=app&event="+id, "", bearer("ops"))
		if n := strings.Count(string(a.body), `"state"`); n != want {
			t.Errorf("%d deliveries of %s, want %d: %s", n, id, want, a)
		}
	}
	none := "01a22e73-5013-7000-a13b-760cd3ffbc0f"
	for _, c := range []struct {
		who, events string
		status      int
	}{
		{"acme", foreign, 404}, {"ops", foreign, 404}, {"ops", none, 404}, {"ops", id[:18], 404}, {"ops", "", 400},
		{"ops", strings.TrimSuffix(strings.Repeat(id+`","`, replay.MostEvents+1), `","`), 400},
	} {
		if a := as(c.who, `{"developer":"acme","events":["`+c.events+`"]}`); a.status != c.status {
			t.Errorf("%s names %.60s: %s, want %d", c.who, c.events, a, c.status)
		}
	}
	if a, b := as("acme", `{"developer":"acme","events":["`+foreign+`"]}`), as("acme", `{"developer":"acme","events":["`+none+`"]}`); string(a.body) != string(b.body) {
		t.Errorf("what is another's %s differs from what is not there %s", a, b)
	}
}

// A delivery and its replay are never both pending, whichever comes second.
func TestARetryBesideAReplayIsRefused(t *testing.T) {
	r := newRig(t, setup{})
	event := r.post(sleep)
	r.do("POST", "/v1/deliveries/cancel", `{"developer":"acme","destination":"app"}`)
	replayed := func(id uint32, want replay.Counts) {
		t.Helper()
		if a := r.do("POST", "/v1/replays", `{"developer":"acme","destination":"app","states":["cancelled"]}`); a.status != 201 {
			t.Fatal(a)
		}
		if p := r.ended(id); p.Counts != want {
			t.Errorf("the replay ended as %+v, want %+v", p, want)
		}
	}
	replayed(1, replay.Counts{Found: 1, Made: 1})
	a := r.do("POST", "/v1/deliveries/"+event+"_1/retry", "")
	if a.status != 409 || !strings.Contains(string(a.body), "is pending") {
		t.Errorf("retried beside its replay: %s", a)
	}
	a = r.do("POST", "/v1/deliveries/retry", `{"developer":"acme","destination":"app","state":"cancelled"}`)
	if !strings.Contains(string(a.body), `"matched":1,"changed":0`) {
		t.Errorf("retried with a filter: %s", a)
	}
	r.do("POST", "/v1/deliveries/cancel", `{"developer":"acme","destination":"app"}`)
	if a = r.do("POST", "/v1/deliveries/"+event+"_1/retry", ""); a.status != 200 {
		t.Errorf("retried behind its replay: %s", a)
	}
	replayed(2, replay.Counts{}) // the delivery that changed last is pending
	if rows, err := r.store.Audit(t.Context(), true, nil); err != nil || rows[0].Counts.Pending != 1 || rows[0].Counts.Cancelled != 1 {
		t.Errorf("audit %+v, %v", rows, err)
	}
}

func TestCancelAReplay(t *testing.T) {
	r := newRig(t, setup{})
	for range 3 {
		r.post(sleep)
	}
	r.do("POST", "/v1/deliveries/cancel", `{"developer":"acme"}`)
	if a := r.do("POST", "/v1/replays", `{"developer":"acme","states":["cancelled"],"rate":0.001}`); a.status != 201 {
		t.Fatal(a)
	}
	a := r.do("DELETE", "/v1/replays/1", "")
	if a.status != 200 || !strings.Contains(string(a.body), `"state":"cancelled"`) {
		t.Error(a)
	}
	if a = r.do("DELETE", "/v1/replays/1", ""); a.status != 409 || a.code() != "conflict" {
		t.Errorf("again: %s", a)
	}
}

func TestReplaysRefused(t *testing.T) {
	r := newRig(t, setup{})
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/v1/replays", ``, 400, "unbounded"},
		{"POST", "/v1/replays", `{"destination":"app","all":true}`, 400, "invalid_request"},
		{"POST", "/v1/replays", `{"developer":"acme","destinations":"app"}`, 400, "invalid_request"},
		{"POST", "/v1/replays", `{"developer":"acme","states":["pending"]}`, 400, "invalid_request"},
		{"POST", "/v1/replays", `{"developer":"acme","rate":-1}`, 400, "invalid_request"},
		{"POST", "/v1/replays", `{"developer":"acme","since":"yesterday"}`, 400, "invalid_parameter"},
		{"POST", "/v1/replays", `{"developer":"acme","until":"6h"}`, 400, "invalid_parameter"},
		{"POST", "/v1/replays", `{"developer":"acme","destination":"gone"}`, 404, "not_found"},
		{"POST", "/v1/replays", `{"developer":"nobody"}`, 404, "not_found"},
		{"GET", "/v1/replays/1", "", 404, "not_found"},
		{"GET", "/v1/replays/x", "", 404, "not_found"},
		{"GET", "/v1/replays?cursor=x", "", 400, "invalid_cursor"},
		{"GET", "/v1/replays?cursor=0", "", 400, "invalid_cursor"},
		{"GET", "/v1/replays?cursor=007", "", 400, "invalid_cursor"},
		{"GET", "/v1/replays?state=running", "", 400, "invalid_parameter"},
		{"DELETE", "/v1/replays/1", "", 404, "not_found"},
	} {
		if a := r.do(c.method, c.path, c.body); a.status != c.status || a.code() != c.code {
			t.Errorf("%s %s %s: %s, want %d %s", c.method, c.path, c.body, a, c.status, c.code)
		}
	}
	for range 2 * replay.MaxRunning { // each replay makes one at once and then waits
		r.post(sleep)
	}
	r.do("POST", "/v1/deliveries/cancel", `{"developer":"acme"}`)
	for n := 0; ; n++ {
		a := r.do("POST", "/v1/replays", `{"developer":"acme","destination":"app","states":["cancelled"],"rate":0.001}`)
		if a.status == 429 && a.code() == "too_many_replays" && a.header.Get("Retry-After") == "60" && n == replay.MaxRunning {
			break
		}
		if a.status != 201 {
			t.Fatalf("replay %d at once: %s", n+1, a)
		}
	}
}

func TestReplaysOfOthersAreHidden(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("ops", "operate"), token("acme", "operate", "acme"), token("reader", "read", "acme"), token("producer", "ingest")}})
	as := func(who, method, path, body string) answer { return r.do(method, path, body, bearer(who)) }
	for _, c := range []struct {
		who, body string
		status    int
	}{
		{"producer", `{"developer":"acme"}`, 403}, {"reader", `{"developer":"acme"}`, 403}, {"acme", `{"all":true}`, 403},
		{"acme", `{"developer":"initech"}`, 403}, {"acme", `{"developer":"acme"}`, 201}, {"ops", `{"developer":"initech"}`, 201}, {"ops", `{"all":true}`, 201},
	} {
		if a := as(c.who, "POST", "/v1/replays", c.body); a.status != c.status {
			t.Errorf("%s asks for %s: %s, want %d", c.who, c.body, a, c.status)
		}
	}
	for who, want := range map[string]string{"ops": "3 2 1", "acme": "1", "reader": "1"} {
		var list page[replay.Replay]
		as(who, "GET", "/v1/replays", "").into(t, &list)
		var got []string
		for _, p := range list.Items {
			got = append(got, fmt.Sprint(p.ID))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s sees the replays %v, want %s", who, got, want)
		}
	}
	for id, status := range map[int]int{1: 200, 2: 404, 3: 404} {
		if a := as("reader", "GET", fmt.Sprint("/v1/replays/", id), ""); a.status != status {
			t.Errorf("replay %d: %s", id, a)
		}
	}
	if a := as("acme", "DELETE", "/v1/replays/2", ""); a.status != 404 {
		t.Errorf("cancelling another's: %s", a)
	}
	if a := as("reader", "DELETE", "/v1/replays/1", ""); a.status != 403 {
		t.Errorf("cancelling without the right: %s", a)
	}
}
