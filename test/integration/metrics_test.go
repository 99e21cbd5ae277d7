package integration

import (
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// exposed are the metrics that a scrape has: name, label, values of it.
type exposed map[string]map[string]map[string]bool

func (e exposed) add(metric, label, value string) {
	if e[metric] == nil {
		e[metric] = map[string]map[string]bool{}
	}
	if label == "" {
		return
	}
	if e[metric][label] == nil {
		e[metric][label] = map[string]bool{}
	}
	e[metric][label][value] = true
}

// scrape reads what a daemon shows, as Prometheus does, with the labels that
// Prometheus adds.
func scrape(t *testing.T, d *daemon) exposed {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(d.metrics(t)))
	if err != nil {
		t.Fatal(err)
	}
	e := exposed{}
	e.add("up", "", "")
	for name, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		names := []string{name}
		if f.GetType().String() == "HISTOGRAM" {
			names = []string{name + "_bucket", name + "_sum", name + "_count"}
			e.add(names[0], "le", "")
		}
		for _, n := range names {
			e.add(n, "", "")
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					e.add(n, l.GetName(), l.GetValue())
				}
			}
		}
	}
	for metric := range e {
		e.add(metric, "job", "fantail")
		e.add(metric, "instance", "")
	}
	return e
}

// lacks returns what an expression asks for that does not exist; "" if nothing.
func (e exposed) lacks(expr string) string {
	found, groups := selectors(expr)
	known := map[string]bool{}
	for _, s := range found {
		labels, ok := e[s.metric]
		if !ok {
			return "the metric " + s.metric
		}
		for l := range labels {
			known[l] = true
		}
		for l, value := range s.labels {
			values, ok := labels[l]
			if !ok {
				return fmt.Sprintf("the label %s of %s", l, s.metric)
			}
			for _, v := range strings.Split(value, "|") {
				if closed[l] && v != ".*" && !values[v] {
					return fmt.Sprintf("%s=%q of %s", l, v, s.metric)
				}
			}
		}
	}
	for _, l := range groups {
		if !known[l] {
			return "the label " + l
		}
	}
	return ""
}

// closed names the labels whose values are a fixed set that exists from the start.
var closed = map[string]bool{"class": true, "state": true, "result": true, "call": true}

// startBusy starts a daemon and has everything happen that metrics tell of: acme's deliveries arrive,
// with TLS; those of globex fail; initech is held; the settings of broken have faults.
func startBusy(t *testing.T) *daemon {
	t.Helper()
	h := newHome(t)
	sound := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(func() { sound.CloseClientConnections(); sound.Close() })
	failing := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	h.write("fantail.yaml", plain+"payloads: { dir: { path: payloads, public_url: 'http://events.example' } }\n")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sound.Certificate().Raw})
	h.write("developers/acme.yaml", fmt.Sprintf("developer: acme\ndestinations:\n  - name: app\n    kind: webhook\n    settings: { url: %q, secret: a-secret-of-acme, tls: { ca: %q } }\n", sound.URL, ca))
	h.write("developers/globex.yaml", webhook("globex", failing.URL, "a-secret-of-globex", "retry: { waits: [1h], jitter: 0 }"))
	h.write("developers/initech.yaml", webhook("initech", "http://127.0.0.2:9/", "a-secret-of-initech", "")) // the guard refuses that
	h.write("developers/broken.yaml", "developer: broken\ndestinations: 7\n")
	d := h.start()
	for _, developer := range []string{"acme", "globex", "initech"} {
		d.send(t, developer, []byte(`{"type":"x"}`))
	}
	for _, line := range []string{
		`fantail_deliveries_total{kind="webhook",state="delivered"} 1`,
		`fantail_attempts_total{class="transient",kind="webhook"} 1`,
		`fantail_held 1`,
		`fantail_certificate_expiry_seconds{destination="app",developer="acme"} `,
	} {
		until(t, line, func() bool { return strings.Contains(d.metrics(t), "\n"+line) })
	}
	return d
}

// Rules, their tests and the dashboard ask only for metrics that a daemon shows once something has
// happened.
func TestRulesAndDashboardAskForWhatIsThere(t *testing.T) {
	d := startBusy(t)
	for _, line := range []string{
		`fantail_pending{destination="app",developer="acme"} 0`,
		`fantail_pending{destination="app",developer="globex"} 1`,
		`fantail_pending{destination="app",developer="initech"} 1`,
		`fantail_oldest_pending_seconds{destination="app",developer="acme"} 0`,
		`fantail_events_accepted_total{result="accepted"} 3`,
		`fantail_events_accepted_total{result="unavailable"} 0`,
		`fantail_broken_settings{developer="broken"} 1`,
		`fantail_delivery_latency_seconds_count{kind="webhook"} 1`,
		`fantail_scheduler_rescued_total 0`,
		`fantail_breaker_open 0`,
		`fantail_ready 1`,
		`fantail_limit{setting="limits.per_developer.destinations"} 1000`,
		`fantail_disk_reserve_bytes 5.36870912e+08`,
		`fantail_payload_failures_total{call="put"} 0`,
	} {
		d.wantMetric(t, line)
	}

	there := scrape(t, d).withShared(t)
	rules := readRules(t)
	for _, r := range rules { // in their order: alerts use what is recorded
		if lacks := there.lacks(r.Expr); lacks != "" {
			t.Errorf("%s%s asks for %s, which the daemon does not show", r.Alert, r.Record, lacks)
		}
		if r.Record != "" {
			found, _ := selectors(r.Expr)
			there[r.Record] = maps.Clone(there[found[0].metric])
		}
	}
	for _, expr := range readDashboard(t).queries() {
		if lacks := there.lacks(expr); lacks != "" {
			t.Errorf("the dashboard asks for %s, which the daemon does not show: %s", lacks, expr)
		}
	}
	tests, _ := readRuleTests(t)
	for _, c := range tests {
		for _, s := range c.InputSeries {
			if lacks := there.lacks(s.Series); lacks != "" {
				t.Errorf("a test of the rules makes up %s: %s", lacks, s.Series)
			}
		}
	}
	for _, wrong := range []string{
		`fantail_evnts_accepted_total`, `fantail_pending{kind="webhook"}`, `fantail_attempts_total{class="failed"}`, `sum by (kind) (fantail_pending)`,
	} {
		if there.lacks(wrong) == "" {
			t.Errorf("%s passes for what is there; there are %v", wrong, slices.Sorted(maps.Keys(there)))
		}
	}
}
