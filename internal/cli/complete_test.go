package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// offered is what the shells are told, without the last lines.
func offered(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	r := trial{env: env}.run(t, append([]string{"__complete"}, args...)...)
	if r.code != 0 || strings.Contains(strings.ToLower(r.err), "error") {
		t.Errorf("%v: %+v", args, r)
	}
	names, _, _ := strings.Cut(r.out, ":")
	return strings.Join(strings.Fields(names), " ")
}

func TestNamesAreCompletedFromTheDaemon(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/destinations": func(w http.ResponseWriter, r *http.Request) {
		all := []string{`"acme","name":"app"`, `"acme","name":"lake"`, `"apex","name":"app"`, `"apex","name":"$(reboot)"`, `"globex","name":"hooks"`, `"a b\u001b;x","name":"y"`}
		var items []string
		for _, d := range all {
			if want := r.URL.Query().Get("developer"); want == "" || strings.HasPrefix(d, `"`+want+`"`) {
				items = append(items, `{"developer":`+d+`}`)
			}
		}
		io.WriteString(w, `{"items":[`+strings.Join(items, ",")+`],"next":""}`)
	}})
	env := map[string]string{"FANTAIL_SERVER": f.URL}
	for args, want := range map[string]string{
		"pause |a": "acme/ apex/", "pause |": "acme/ apex/ globex/", "resume |acme/": "acme/app acme/lake", "test |acme/l": "acme/lake", "check |apex/": "apex/app",
		"rebind acme/app |": "", "rebind |nobody/": "",
		"deliveries --developer |a": "acme apex", "send --developer |g": "globex", "erase --developer |": "acme apex globex", "generate --developer |": "acme apex globex",
		"ingest sqs --developer |a":              "acme apex",
		"retry --developer acme --destination |": "app lake", "retry --destination |": "", "replay --developer apex --destination |a": "app",
		"events --type |sl": "sleep", "replay --type |hea": "health_observation healthcheck", "test --type |athl": "athlete", "generate --types |sleep,at": "sleep,athlete",
		"retry --state |d": "delivered dead", "audit |": "", "deliveries |": "",
	} {
		before, typed, _ := strings.Cut(args, "|")
		got := offered(t, env, append(strings.Fields(before), typed)...)
		if strings.Contains(args, "--state") {
			got = strings.Join(strings.Fields(got)[:2], " ") // which shells filter
			want = "pending delivered"
		}
		if got != want {
			t.Errorf("%s: offered %q, want %q", args, got, want)
		}
	}
	f.answers["GET /v1/destinations"] = inOrder(many(0, "more"), many(1000, ""))
	if n := len(strings.Fields(offered(t, env, "send", "--developer", "dev"))); n != mostOffered {
		t.Errorf("%d names are offered, want %d", n, mostOffered)
	}
}

// many is a page of a thousand developers.
func many(from int, next string) http.HandlerFunc {
	items := make([]string, 1000)
	for i := range items {
		items[i] = fmt.Sprintf(`{"developer":"dev%05d","name":"app"}`, from+i)
	}
	return say(`{"items":[` + strings.Join(items, ",") + `],"next":"` + next + `"}`)
}

// TestCompletionIsSilentAndEnds, whatever the daemon does, and whatever answers in its place.
func TestCompletionIsSilentAndEnds(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for name, env := range map[string]map[string]string{
		"nobody there":   {"FANTAIL_SERVER": "http://127.0.0.1:1"},
		"no address":     {"FANTAIL_SERVER": "nowhere"},
		"no token":       {"FANTAIL_SERVER": newFake(t, map[string]http.HandlerFunc{"GET /v1/destinations": deny(401, "unauthorized", "no")}).URL},
		"no file":        {"FANTAIL_SERVER": "http://127.0.0.1:1", "FANTAIL_TOKEN_FILE": "/nowhere"},
		"something else": {"FANTAIL_SERVER": newFake(t, map[string]http.HandlerFunc{"GET /v1/destinations": say("<html>")}).URL},
		"no answer": {"FANTAIL_SERVER": newFake(t, map[string]http.HandlerFunc{"GET /v1/destinations": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		}}).URL},
	} {
		began := time.Now()
		if got := offered(t, env, "pause", "a"); got != "" {
			t.Errorf("%s: offered %q", name, got)
		}
		if took := time.Since(began); took > completeWithin+5*time.Second {
			t.Errorf("%s: %s", name, took)
		}
	}
	e := newEnv(nil, io.Discard, io.Discard, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e.lookup = func(string) string { return "" }; len(e.namesLike(ctx, "", "")) != 0 {
		t.Error("names after the end")
	}
}
