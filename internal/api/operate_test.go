package api

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// stateOf returns where a delivery stands.
func stateOf(r *rig, id string) string {
	r.t.Helper()
	var v struct{ State string }
	r.do("GET", "/v1/deliveries/"+id, "").into(r.t, &v)
	return v.State
}

func TestChangeOneDelivery(t *testing.T) {
	r := newRig(t, setup{})
	id := r.post(sleep) + "_1"
	for _, step := range []struct {
		call, body string
		status     int
		want       string
	}{
		{"/retry", `{"rebind":true}`, 409, "conflict"}, // it is not frozen
		{"/cancel", "", 200, `{"id":"` + id + `","from":"pending","to":"cancelled"}`},
		{"/retry?rebind=true", "", 400, "unknown parameter"}, // taken for a plain retry, it would send again
		{"/cancel", "", 409, "the delivery is cancelled"},
		{"/retry", "", 200, `{"id":"` + id + `","from":"cancelled","to":"pending"}`},
		{"/cancel", "{}", 200, `"to":"cancelled"`},
		{"/cancel", `{"rebind":true}`, 400, "invalid_request"},
		{"/retry", `{"rebnd":true}`, 400, "invalid_request"},
		{"/retry", `{}{}`, 400, "invalid_request"},
		{"/retry", strings.Repeat(" ", 70<<10), 413, "too_large"},
	} {
		got := r.do("POST", "/v1/deliveries/"+id+step.call, step.body)
		if got.status != step.status || !strings.Contains(string(got.body), step.want) {
			t.Errorf("%s %.30s: %s, want %d %s", step.call, step.body, got, step.status, step.want)
		}
	}
	if got := r.do("POST", "/v1/deliveries/"+id+"9/cancel", ""); got.status != 404 {
		t.Errorf("an unknown delivery: %s", got)
	}
}

// Whoever asks for some metrics gets these alone.
func TestMetricsByName(t *testing.T) {
	r := newRig(t, setup{})
	for query, want := range map[string]bool{"": true, "?name[]=x&name[]=fantail_events_accepted_total": true, "?name[]=x": false} {
		got := r.do("GET", "/metrics"+query, "")
		if got.status != 200 || strings.Contains(string(got.body), "fantail_events_accepted_total") != want {
			t.Errorf("%s: %s", query, got)
		}
	}
}

func TestChangeManyInSteps(t *testing.T) {
	r := newRig(t, setup{})
	var first string
	for range 5 {
		first = r.post(sleep)
	}
	r.do("POST", "/v1/events", sleep, "dev-id: initech")
	loop := func(call, selected string) (sum stepView, steps int) {
		t.Helper()
		body := selected
		for range 100 {
			var step stepView
			a := r.do("POST", "/v1/deliveries/"+call, body)
			if a.into(t, &step); a.status != 200 {
				t.Fatal(a)
			}
			sum.Matched += step.Matched
			sum.Changed += step.Changed
			steps++
			if step.Next == "" {
				return sum, steps
			}
			body = fmt.Sprintf("%s,\"cursor\":%q}", strings.TrimSuffix(selected, "}"), step.Next)
		}
		t.Fatal("the change never ends")
		return
	}
	for _, c := range []struct {
		call, selected string
		changed        int
	}{
		{"cancel", `{"developer":"acme","destination":"night","limit":2}`, 5},
		{"cancel", `{"developer":"acme","destination":"night","limit":2}`, 0},
		{"cancel", `{"developer":"nobody"}`, 0},
		{"retry", `{"developer":"acme"}`, 0}, // nothing is dead
		{"retry", `{"developer":"acme","state":"cancelled","limit":3}`, 5},
		{"cancel", `{"event":"` + first + `"}`, 2},
		{"retry", `{"all":true,"rebind":true}`, 0}, // nothing is frozen
		{"cancel", `{"all":true,"since":"2001-01-01T00:00:00Z","until":"2001-01-02T00:00:00Z"}`, 0},
		{"cancel", `{"all":true,"limit":4}`, 9},
	} {
		if sum, steps := loop(c.call, c.selected); sum.Changed != c.changed || strings.Contains(c.selected, "limit") && c.changed > 4 && steps < 2 {
			t.Errorf("%s %s: %+v in %d steps, want %d changed", c.call, c.selected, sum, steps, c.changed)
		}
	}
	if got := stateOf(r, first+"_1"); got != "cancelled" {
		t.Errorf("%s", got)
	}
}

// What a replay has brought since is not sent again with the rest; by its id it is.
func TestRetryOfManyLeavesOutWhatHasArrived(t *testing.T) {
	r := newRig(t, setup{})
	ctx := t.Context()
	var dead []store.DeliveryID
	settle := func(id store.DeliveryID, version uint32, state store.State) {
		t.Helper()
		it := store.Item{ID: id, Version: version, Queue: store.QueueID{Dest: id.Dest}}
		if ss, err := r.store.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: state}}); err != nil || ss[0].Stale {
			t.Fatal(ss, err)
		}
	}
	for range 2 {
		id, err := store.ParseDeliveryID(r.post(sleep) + "_1")
		if err != nil {
			t.Fatal(err)
		}
		settle(id, 1, store.Dead)
		dead = append(dead, id)
	}
	ms, err := r.store.Replay(ctx, time.Now(), 1, []store.Want{{Event: dead[0].Event, Day: dead[0].Day, Dest: dead[0].Dest}})
	if err != nil || ms[0].Err != nil {
		t.Fatal(ms, err)
	}
	settle(ms[0].ID, ms[0].Item.Version, store.Delivered)
	a := r.do("POST", "/v1/deliveries/retry", `{"developer":"acme","state":"dead"}`)
	if string(a.body) != `{"matched":2,"changed":1,"next":""}`+"\n" || stateOf(r, dead[0].String()) != "dead" || stateOf(r, dead[1].String()) != "pending" {
		t.Errorf("%s: %s, %s", a, stateOf(r, dead[0].String()), stateOf(r, dead[1].String()))
	}
	if a := r.do("POST", "/v1/deliveries/"+dead[0].String()+"/retry", ""); a.status != 200 {
		t.Errorf("by its id: %s", a)
	}
}

// A field that was forgotten, or misspelt, must not select everything.
func TestChangeOfEverythingHasToBeSaid(t *testing.T) {
	r := newRig(t, setup{})
	id := r.post(sleep)
	for body, code := range map[string]string{
		"":                                      "unbounded",
		"{}":                                    "unbounded",
		`{"destination":"app"}`:                 "unbounded",
		`{"state":"pending"}`:                   "unbounded",
		`{"since":"2001-01-01T00:00:00Z"}`:      "unbounded",
		`{"all":false}`:                         "unbounded",
		`{"developr":"acme"}`:                   "invalid_request",
		`{"all":"true"}`:                        "invalid_request",
		`[]`:                                    "invalid_request",
		`{"all":true,"limit":-1}`:               "invalid_parameter",
		`{"all":true,"limit":1001}`:             "invalid_parameter",
		`{"all":true,"state":"lost"}`:           "invalid_parameter",
		`{"all":true,"since":"24h"}`:            "invalid_parameter",
		`{"all":true,"until":"24h"}`:            "invalid_parameter",
		`{"event":"x"}`:                         "invalid_parameter",
		`{"all":true,"rebind":true}`:            "invalid_request",
		`{"all":true,"cursor":"not a cursor!"}`: "invalid_cursor",
	} {
		if got := r.do("POST", "/v1/deliveries/cancel", body); got.code() != code {
			t.Errorf("%s: %s, want %s", body, got, code)
		}
	}
	if got := stateOf(r, id+"_1"); got != "pending" {
		t.Errorf("the delivery is %s", got)
	}
}

func TestPauseAndResume(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("ops", "operate")}})
	do := func(call, body string) (answer, destinationView) {
		a := r.do("POST", "/v1/destinations/acme/app/"+call, body, bearer("ops"))
		var v destinationView
		a.into(t, &v)
		return a, v
	}
	if a, v := do("pause", ""); v.State != "paused" || v.Reason != "paused by operator" || v.Since.IsZero() {
		t.Errorf("pause: %s", a)
	}
	if a, v := do("pause", `{"reason":"moving house"}`); v.Reason != "moving house" {
		t.Errorf("pause with a reason: %s", a)
	}
	if a, v := do("resume", ""); v.State != "active" || v.Reason != "" {
		t.Errorf("resume: %s", a)
	}
	if a, _ := do("pause", `{"reason":"`+strings.Repeat("x", 501)+`"}`); a.status != 400 {
		t.Errorf("a long reason: %s", a)
	}
	if a, _ := do("rebind", ""); string(a.body) != `{"rebound":41}`+"\n" {
		t.Errorf("rebind: %s", a)
	}
	r.sched.all[0].State = "removed"
	if a, _ := do("pause", ""); a.status != 404 {
		t.Errorf("a removed destination: %s", a)
	}
	for _, want := range []string{"destination paused", "by=ops", "destination resumed"} {
		if log := r.log.String(); !strings.Contains(log, want) {
			t.Errorf("want %q in the log %s", want, log)
		}
	}
}

func TestAuditAddsUp(t *testing.T) {
	r := newRig(t, setup{})
	id := r.post(sleep)
	r.post(`{"type":"walk"}`)
	r.do("POST", "/v1/deliveries/"+id+"_1/cancel", "")
	for _, path := range []string{"/v1/audit", "/v1/audit?deep=1", "/v1/audit?deep=true&developer=acme"} {
		var rows []auditView
		r.do("GET", path, "").into(t, &rows)
		want := countsView{Accepted: 2, Pending: 1, Cancelled: 1}
		if len(rows) == 0 || rows[0].Destination != "app" || rows[0].countsView != want || !rows[0].Balanced {
			t.Errorf("%s: %+v", path, rows)
			continue
		}
		if deep := rows[0].Recounted; (deep != nil) != strings.Contains(path, "deep") || deep != nil && *deep != want {
			t.Errorf("%s: recounted %+v", path, deep)
		}
	}
	r.api.deep.Lock()
	if got := r.do("GET", "/v1/audit?deep=1", ""); got.status != 409 || got.code() != "audit_running" {
		t.Errorf("a second deep audit: %s", got)
	}
	if got := r.do("GET", "/v1/audit", ""); got.status != 200 {
		t.Errorf("beside a deep audit: %s", got)
	}
	r.api.deep.Unlock()
}

func TestAuditSaysWhatDoesNotAddUp(t *testing.T) {
	c := store.Counts{Accepted: 3, Delivered: 1, Pending: 1}
	if viewCounts(&c).sums() {
		t.Error("3 accepted, 2 accounted for, and it adds up")
	}
}

func TestErasureIsOfOneDevelopersUser(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("privacy", "operate ingest")}})
	as := bearer("privacy")
	mine := func(developer, user string) string {
		var v struct{ ID string }
		r.do("POST", "/v1/events", `{"type":"sleep","user":{"user_id":"`+user+`"}}`, as, "dev-id: "+developer).into(t, &v)
		return v.ID
	}
	erased, other, foreign := mine("acme", "a/b ü"), mine("acme", "c"), mine("initech", "a/b ü")
	got := r.do("DELETE", "/v1/users/a%2Fb%20%C3%BC/data?developer=acme", "", as)
	if string(got.body) != `{"events":1,"cancelled":2}`+"\n" {
		t.Fatalf("got %s", got)
	}
	for id, status := range map[string]int{erased: 410, other: 200, foreign: 200} {
		if got := r.do("GET", "/v1/events/"+id+"/body", "", as); got.status != status {
			t.Errorf("body of %s: %s, want %d", id, got, status)
		}
	}
	if r.sched.moved != 2 {
		t.Errorf("the scheduler heard of %d deliveries, want 2", r.sched.moved)
	}
	if log := r.log.String(); !strings.Contains(log, "by=privacy") || strings.Contains(log, "a/b") {
		t.Errorf("log %s", log)
	}
	for developer, code := range map[string]string{"acme": "", "acmee": "unknown_developer"} { // nobody of that name, one of their users
		if got := r.do("DELETE", "/v1/users/nobody/data?developer="+developer, "", as); got.code() != code {
			t.Errorf("a user nobody knows of %s: %s, want code %q", developer, got, code)
		}
	}
	if got := r.do("DELETE", "/v1/users/c/data", "", as); got.code() != "missing_developer" {
		t.Errorf("without a developer: %s", got)
	}
}

func TestReloadShowsEveryFault(t *testing.T) {
	r := newRig(t, setup{})
	if got := r.do("POST", "/v1/reload", ""); string(got.body) != `{"reloaded":true,"plan":[]}`+"\n" {
		t.Errorf("got %s", got)
	}
	r.daemon.reload = errors.New("acme.yaml:3: one\nacme.yaml:9: two")
	var p problem
	got := r.do("POST", "/v1/reload", "")
	if got.into(t, &p); got.status != 422 || p.Error.Code != "invalid_settings" || p.Error.Message != r.daemon.reload.Error() {
		t.Errorf("got %s", got)
	}
	r.daemon.waiting = []string{"egress"}
	r.daemon.reload = &Refused{Developers: []string{"acme"}, Lines: []string{"developer acme: faulty settings:", "acme.yaml:3: one"}}
	got = r.do("POST", "/v1/reload", "")
	want := "the settings are in force, but not those of acme:\ndeveloper acme: faulty settings:\nacme.yaml:3: one\nat the next start: egress"
	if got.into(t, &p); got.status != 422 || p.Error.Code != "developers_refused" || p.Error.Message != want {
		t.Errorf("got %s", got)
	}
}

func TestBackup(t *testing.T) {
	r := newRig(t, setup{})
	r.post(sleep)
	for body, want := range map[string]string{
		`{"dir":"copy"}`:  "invalid_request",
		`{}`:              "invalid_request",
		`{"to":"/tmp/x"}`: "invalid_request",
	} {
		if got := r.do("POST", "/v1/backup", body); got.code() != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	if got := r.do("POST", "/v1/backup", `{"dir":"/copy"}`); got.status != 200 {
		t.Errorf("got %s", got)
	}
	for err, status := range map[error]int{
		fmt.Errorf("make /copy: %w", os.ErrExist):                       409,
		fmt.Errorf("make /copy: %w", os.ErrPermission):                  422,
		&os.PathError{Op: "mkdir", Path: "/copy", Err: syscall.ENOTDIR}: 422,
		&os.PathError{Op: "mkdir", Path: "/copy", Err: syscall.EROFS}:   422,
		&os.PathError{Op: "write", Path: "/copy", Err: syscall.ENOSPC}:  422,
		errors.New("disk on fire"):                                      500,
	} {
		r.daemon.backup = err
		if got := r.do("POST", "/v1/backup", `{"dir":"/copy"}`); got.status != status {
			t.Errorf("%v: %s, want %d", err, got, status)
		}
	}
}

func TestLimitsAreShown(t *testing.T) {
	r := newRig(t, setup{})
	const want = `{"body":1048576,"body_rate":1024,"in_flight":7,"in_flight_bytes":4194304,"lag_ms":2000,"per_developer":{"rate":0.5,"pending":9,"bytes":8,"destinations":1000,"attempts":50,"shortest_wait_ms":1000,"key_bits":8192}}` + "\n"
	if got := r.do("GET", "/v1/limits", ""); string(got.body) != want {
		t.Errorf("limits %s", got)
	}
}

func TestReadinessAndEgress(t *testing.T) {
	r := newRig(t, setup{egress: Egress{Source: []string{"192.0.2.1", "2001:db8::1"}, Proxy: true}})
	if got := r.do("GET", "/v1/egress", ""); string(got.body) != `{"source":["192.0.2.1","2001:db8::1"],"proxy":true}`+"\n" {
		t.Errorf("egress %s", got)
	}
	if got := r.do("GET", "/healthz", ""); got.status != 200 {
		t.Errorf("healthz %s", got)
	}
	r.daemon.warnings = []string{"developer x: broken"}
	if got := r.do("GET", "/readyz", ""); got.status != 200 || string(got.body) != `{"ready":true,"problems":[],"warnings":["developer x: broken"],"version":"1.2.3"}`+"\n" {
		t.Errorf("readyz %s", got)
	}
	if got := r.do("GET", "/readyz", "", "Host: evil.example"); strings.Contains(string(got.body), "warnings") {
		t.Errorf("readyz shows to a rebound name %s", got)
	}
	r.daemon.problems = []string{"disk reserve reached"}
	if got := r.do("GET", "/readyz", ""); got.status != 503 || !strings.Contains(string(got.body), `{"ready":false,"problems":["disk reserve reached"]`) {
		t.Errorf("readyz %s", got)
	}
	got := r.do("GET", "/openapi.yaml", "")
	if got.status != 200 || string(got.body) != string(description) {
		t.Errorf("openapi.yaml %s", got)
	}
}

func TestClosedStoreIs503(t *testing.T) {
	r := newRig(t, setup{})
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/events", "/v1/deliveries", "/v1/audit"} {
		if got := r.do("GET", path, ""); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if log := r.log.String(); strings.Contains(log, "request failed") {
		t.Errorf("log %s", log)
	}
}
