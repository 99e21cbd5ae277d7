package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/tracing/tracingtest"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

const producersParent, producersState = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=1"

// traced sends an event as a producer does that traces.
func (d *daemon) traced(t *testing.T, body string) client.Accepted {
	t.Helper()
	a, err := d.Send(t.Context(), client.SendRequest{
		Developer: "acme", Body: []byte(body), Trace: http.Header{"Traceparent": {producersParent}, "Tracestate": {producersState}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// settings adds to fantail.yaml.
func (h *home) settings(more string) {
	h.t.Helper()
	path := filepath.Join(h.dir, "fantail.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("fantail.yaml", string(raw)+more)
}

// The producer's trace goes through the daemon to the receiver, over a restart too. It has every span
// between them, and nothing that must not be there.
func TestTraceRunsFromProducerToReceiver(t *testing.T) {
	h := newHome(t)
	collector := tracingtest.New(t)
	down := true
	r := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if down { // set between daemons
			http.Error(w, "broken, says the receiver of a-secret-of-acme", http.StatusInternalServerError)
		}
	})
	t.Setenv("FANTAIL_TEST_OTLP", "Bearer hunter2hunter2")
	h.settings(fmt.Sprintf("tracing: { endpoint: %q, sample: 0, headers: { authorization: '${env:FANTAIL_TEST_OTLP}' } }\n", collector.URL))
	h.write("developers/acme.yaml", webhook("acme", r.URL+"/hook?token=hunter2hunter2", "a-secret-of-acme", "retry: { waits: [10ms, 1h], jitter: 0 }"))
	d := h.start()
	a := d.traced(t, `{"type":"sleep","user":{"user_id":"ann-42"},"private":"body"}`)
	untraced := d.send(t, "acme", []byte(`{"type":"walk"}`))
	r.wait(t, 4) // two attempts of each
	d.failing(t, []*sent{{id: a.ID}, {id: untraced.ID}}, "app")
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	down = false
	d = h.start()
	if _, err := d.RetryAll(t.Context(), client.Selection{Developer: "acme", State: "pending"}, nil); err != nil {
		t.Fatal(err)
	}
	r.wait(t, 2)
	d.balanced(t)
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}

	accepts, attempts := collector.Named("accept"), collector.Named("attempt")
	if len(accepts) != 1 || len(attempts) != 3 || len(collector.Spans()) != 4 {
		t.Fatalf("%d spans: %+v", len(collector.Spans()), collector.Spans())
	}
	if s := accepts[0]; s.Trace != producersParent[3:35] || s.Parent != producersParent[36:52] || s.Attributes["fantail.event"] != a.ID {
		t.Errorf("accept: %+v", s)
	}
	arrived := map[string]string{}
	for _, req := range r.all() {
		parent := req.header.Get("Traceparent")
		if traced := strings.Contains(string(req.body), "sleep"); traced != (parent != "") || traced != (req.header.Get("Tracestate") == producersState) {
			t.Errorf("%s arrived with %q, %q", req.body, parent, req.header.Get("Tracestate"))
		}
		arrived[parent] = req.header.Get("X-Terra-Trace-Id")
	}
	for i, s := range attempts {
		if s.Trace != accepts[0].Trace || s.Parent != accepts[0].ID || s.Attributes["fantail.event"] != a.ID || s.Attributes["fantail.developer"] != "acme" || s.Attributes["fantail.destination"] != "app" || s.Attributes["fantail.kind"] != "webhook" {
			t.Errorf("attempt %d: %+v", i, s)
		}
		if got := arrived["00-"+s.Trace+"-"+s.ID+"-01"]; got == "" || got != s.Attributes["fantail.delivery"] {
			t.Errorf("attempt %d: the receiver was told %q of it", i, got)
		}
		want := "transient"
		if i == 2 {
			want = "delivered"
		}
		if s.Attributes["fantail.outcome"] != want || s.Failed != (i < 2) || s.Failed && !strings.Contains(s.Error, "broken, says the receiver of [redacted]") {
			t.Errorf("attempt %d: %+v", i, s)
		}
	}
	all := fmt.Sprint(collector.Spans()) + h.log.String()
	for _, private := range []string{"ann-42", "private", "hunter2", "a-secret-of-acme"} {
		if strings.Contains(all, private) {
			t.Errorf("%q is in the spans or the log", private)
		}
	}
	for _, header := range collector.Headers() {
		if header.Get("Authorization") != "Bearer hunter2hunter2" {
			t.Errorf("the collector got %v", header)
		}
	}
}

// Without tracing the receiver gets the producer's headers unchanged. A producer that sends none, or
// nonsense, changes nothing.
func TestTraceOfTheProducerPassesADaemonThatDoesNotTrace(t *testing.T) {
	h := newHome(t)
	r := newReceiver(t, nil)
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))
	d := h.start()
	first := d.traced(t, `{"type":"sleep"}`)
	r.wait(t, 1)
	if _, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"walk"}`), Trace: http.Header{"Traceparent": {"00-nonsense"}}}); err != nil {
		t.Fatal(err)
	}
	r.wait(t, 1)
	d.balanced(t)
	// A replay is another attempt within the producer's trace.
	if _, err := d.Replay(t.Context(), client.ReplayRequest{Developer: "acme", Types: []string{"sleep"}, States: []string{"delivered"}}); err != nil {
		t.Fatal(err)
	}
	r.wait(t, 1)
	d.balanced(t)
	all := r.all()
	for i, want := range []string{producersParent, "", producersParent} {
		state := ""
		if want != "" {
			state = producersState
		}
		if got := all[i].header; got.Get("Traceparent") != want || got.Get("Tracestate") != state {
			t.Errorf("request %d has %q, %q", i, got.Get("Traceparent"), got.Get("Tracestate"))
		}
	}
	if again := all[2].header.Get("X-Terra-Trace-Id"); !strings.HasPrefix(again, first.ID) || again == all[0].header.Get("X-Terra-Trace-Id") {
		t.Errorf("the replay is %q", again)
	}
}

// A collector that is down delays nobody, and the log tells of it without its headers.
func TestCollectorThatIsDownDelaysNothing(t *testing.T) {
	h := newHome(t)
	r := newReceiver(t, nil)
	h.settings("tracing: { endpoint: 'http://" + servers.Address(t) + "', headers: { authorization: hunter2hunter2 } }\n")
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))
	d := h.start()
	for range 20 {
		d.send(t, "acme", []byte(`{"type":"sleep"}`))
	}
	r.wait(t, 20)
	d.balanced(t)
	h.write("fantail.yaml", "listen: 127.0.0.1:0\nstore: { pebble: { dir: store } }\negress: { allow: [127.0.0.0/8] }\nshutdown_grace: 2s\n")
	if waiting, err := d.app.Reload(t.Context()); err != nil || fmt.Sprint(waiting) != "[tracing]" {
		t.Errorf("reload: waiting %v, %v", waiting, err)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if log := h.log.String(); strings.Count(log, "the collector did not take spans") != 1 || strings.Contains(log, "hunter2") {
		t.Error("the log has not one line on the collector, or shows its headers")
	}
}
