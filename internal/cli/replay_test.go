package cli

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func replayAnswer(state, more string) string {
	return fmt.Sprintf(`{"id":3,"developer":"acme","destination":"app","states":["dead"],"since":"2026-07-01T06:00:00Z","until":"2026-07-01T12:00:00Z",`+
		`"rate":100,"dry_run":false,"by":"ops","created":"2026-07-01T12:00:00Z","state":%q,"found":12,"made":9,"pending":2,"gone":1%s}`, state, more)
}

func TestReplayWaitsForTheEnd(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"POST /v1/replays":  say(replayAnswer("running", "")),
		"GET /v1/replays/3": inOrder(say(replayAnswer("running", `,"waiting":"acme/app has not caught up"`)), say(replayAnswer("finished", ""))),
	})
	f.run(t, strings.Fields("replay --developer acme --destination app --since 6h --state dead --yes")...).want(t, 0,
		"made 9 deliveries; 2 left out that are on their way already; 1 left out whose body was erased or has expired\n", "")
	f.run(t, strings.Fields("replay --developer acme --type sleep,daily --user u1 --user u2 --state dead,unmatched --rate 120/m --dry-run --no-wait")...).want(t, 0,
		"replay 3 has begun; see \"fantail replay show 3\"\n", "")
	asked := f.requests()
	if b := asked[0].body; b != `{"developer":"acme","destination":"app","states":["dead"],"since":"2026-07-01T06:00:00Z"}` {
		t.Errorf("asked %s", b)
	}
	if b := asked[len(asked)-1].body; b != `{"developer":"acme","types":["sleep","daily"],"users":["u1","u2"],"states":["dead","unmatched"],"rate":2,"dry_run":true}` {
		t.Errorf("asked %s", b)
	}
	tr := trial{terminal: true, env: map[string]string{"FANTAIL_SERVER": f.URL}}
	f.answers["GET /v1/replays/3"] = inOrder(say(replayAnswer("running", `,"waiting":"acme/app has not caught up"`)), say(replayAnswer("finished", "")))
	if r := tr.run(t, "replay", "--developer", "acme", "--yes"); r.code != 0 || !strings.Contains(r.err, "found 12, made 9; acme/app has not caught up") {
		t.Errorf("on a terminal: %+v", r)
	}
}

func TestReplayThatDoesNotFinishFails(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/replays": say(replayAnswer("failed", `,"error":"rows are damaged"`))})
	f.run(t, "replay", "--developer", "acme", "-y").want(t, 1,
		"replay 3 failed (rows are damaged): made 9 deliveries; 2 left out that are on their way already; 1 left out whose body was erased or has expired\n", "")
	f.answers["POST /v1/replays"] = say(replayAnswer("cancelled", ""))
	if r := f.run(t, "replay", "--developer", "acme", "--json", "-y"); r.code != 1 || !strings.Contains(r.out, `"state":"cancelled"`) {
		t.Errorf("%+v", r)
	}
	f.answers["POST /v1/replays"] = deny(404, "not_found", "the settings have no such destination")
	if r := f.run(t, "replay", "--developer", "acme", "--destination", "x", "-y"); r.code != 1 || !strings.Contains(r.err, "no such destination") {
		t.Errorf("%+v", r)
	}
}

func TestReplaysListShowCancel(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/replays":      say(`{"items":[` + replayAnswer("finished", `,"ended":"2026-07-01T12:00:00Z"`) + `],"next":""}`),
		"GET /v1/replays/3":    say(replayAnswer("running", "")),
		"DELETE /v1/replays/3": say(replayAnswer("cancelled", "")),
	})
	f.run(t, "replay", "list", "--developer", "acme").want(t, 0,
		"ID  STATE     DESTINATION  STATES  CREATED                        FOUND  MADE  PENDING  GONE  NOTE\n"+
			"3   finished  acme/app     dead    2026-07-01 12:00:00Z (0s ago)  12     9     2        1\n", "")
	if r := f.run(t, "replay", "show", "3"); r.code != 0 || !strings.Contains(r.out, "rate         100/s\n") || !strings.Contains(r.out, "made         9\n") || strings.Contains(r.out, "ended") {
		t.Errorf("%+v", r)
	}
	f.run(t, "replay", "cancel", "3").want(t, 0,
		"replay 3 was cancelled: made 9 deliveries; 2 left out that are on their way already; 1 left out whose body was erased or has expired\n", "")
	for _, args := range []string{
		"replay", "replay --destination app --all", "replay --developer acme --rate fast", "replay --developer acme --rate 0", "replay --developer acme --rate 5/d",
		"replay --developer acme --since soon", "replay acme", "replay list --limit 0", "replay show x", "replay cancel -- -1", "replay show",
	} {
		if r := f.run(t, strings.Fields(args)...); r.code != 2 {
			t.Errorf("%s: %+v", args, r)
		}
	}
}
