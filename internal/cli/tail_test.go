package cli

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// broken begins a stream and cuts the connection.
func broken(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(": attempts follow\n\nevent: att"))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// tail shows what happens after a restart, too.
func TestTailGoesOnAfterAStop(t *testing.T) {
	one := `{"at":"2026-07-01T12:00:01Z","delivery":"` + eventID + `_3","developer":"acme","destination":"app","type":"sleep","class":"delivered","code":200,"state":"delivered"}`
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/live": inOrder(
		live(one), deny(503, "stopping", "the daemon stops"), deny(429, "too_many_readers", "16 follow"), deny(502, "", "bad gateway"), broken, live(one), broken)})
	var waited []time.Duration
	r := trial{env: map[string]string{"FANTAIL_SERVER": f.URL}, waits: 7, waited: &waited}.run(t, "tail", "acme/app")
	const stopped, again = "The daemon has stopped. Waiting until it is back; Ctrl-C ends this.\n", "Connected again. What happened in between is in \"fantail deliveries\".\n"
	const cut = "The connection to the daemon broke (follow attempts: unexpected EOF). Waiting until it is back; Ctrl-C ends this.\n"
	if want := stopped + again + cut + again + stopped + again + cut + "fantail: interrupted\n"; r.code != 130 || r.err != want {
		t.Errorf("exit %d, said:\n%swant:\n%s", r.code, r.err, want)
	}
	if strings.Count(r.out, "delivered, 200") != 2 || strings.Count(r.out, "WHAT CAME OF IT") != 1 {
		t.Errorf("shown:\n%s", r.out)
	}
	if s := time.Second; !slices.Equal(waited, []time.Duration{s, 2 * s, 4 * s, 8 * s, 15 * s, s, 2 * s}) {
		t.Errorf("waited %v", waited)
	}
}

// An error that asking again does not mend ends the command: a first contact that fails, and a later
// refusal.
func TestTailEndsWithWhatWaitingDoesNotMend(t *testing.T) {
	gone := newFake(t, nil)
	gone.Close()
	if r := gone.run(t, "tail"); r.code != 1 || !strings.Contains(r.err, "Is the daemon running?") {
		t.Errorf("nobody there: %+v", r)
	}
	for name, then := range map[string]http.HandlerFunc{
		"a token that is revoked": deny(401, "unauthorized", "a valid bearer token is needed"), "a destination that is removed": deny(404, "not_found", "there is no such developer or destination"),
	} {
		f := newFake(t, map[string]http.HandlerFunc{"GET /v1/live": inOrder(live(), then)})
		if r := f.run(t, "tail"); r.code != 1 || strings.Count(r.err, "Waiting") != 1 || strings.Contains(r.err, "Connected again") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/live": deny(503, "stopping", "the daemon stops")})
	if r := f.run(t, "tail"); r.code != 1 || strings.Contains(r.err, "Waiting") {
		t.Errorf("a daemon that stops: %+v", r)
	}
}
