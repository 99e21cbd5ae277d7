package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// withAlerts writes the file of the operator's own developer, who hears of everything.
func withAlerts(h *home, alerts *receiver, more string) {
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.0/8] }
shutdown_grace: 2s
notices: { destinations: [ops/app] }
`+more)
	h.write("developers/ops.yaml", webhook("ops", alerts.URL, "a-secret-of-ops", ""))
}

// said is a notice as it arrives.
type said struct {
	Type, Developer, Destination, Kind, Reason string
	Created                                    time.Time `json:"creation_timestamp"`
	Count                                      int
	Deliveries                                 []string
	Replay                                     struct {
		Found int
		State string
	}
}

func notices(t *testing.T, alerts *receiver) (all []said) {
	t.Helper()
	for _, r := range alerts.all() {
		if err := signature.Verify("a-secret-of-ops", r.header.Get("terra-signature"), r.body, r.at, time.Minute); err != nil {
			t.Errorf("a notice is not signed: %v", err)
		}
		var s said
		if err := json.Unmarshal(r.body, &s); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		all = append(all, s)
	}
	return all
}

func TestOperatorHearsOfHolds(t *testing.T) {
	h := newHome(t)
	alerts, app := newReceiver(t, nil), newReceiver(t, nil)
	withAlerts(h, alerts, "")
	h.write("developers/acme.yaml", webhook("acme", "http://10.1.2.3/hook", "a-secret-of-acme", "")) // the guard refuses it
	d := h.start()
	d.send(t, "acme", []byte(`{"type":"sleep"}`))
	alerts.wait(t, 1)
	h.write("developers/acme.yaml", webhook("acme", app.URL, "a-secret-of-acme", ""))
	if _, err := d.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	alerts.wait(t, 1)
	app.wait(t, 1)
	all := notices(t, alerts)
	if n := all[0]; n.Type != "destination.held" || n.Developer != "acme" || n.Destination != "app" || n.Kind != "webhook" || !strings.Contains(n.Reason, "10.1.2.3") || time.Since(n.Created) > time.Minute {
		t.Errorf("%+v", n)
	}
	if n := all[1]; n.Type != "destination.resumed" || n.Reason != "its settings changed" {
		t.Errorf("%+v", n)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if log := h.log.String(); !strings.Contains(log, "level=WARN msg=destination.held developer=acme destination=app") || strings.Contains(log, "a-secret-of") {
		t.Error("the log does not tell of the hold, or tells a secret")
	}
}

// Deaths are told together. A stopping daemon loses no death that it has not told yet, and deaths of
// notices are only logged.
func TestOperatorHearsOfDeaths(t *testing.T) {
	h := newHome(t)
	down := func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	alerts, app := newReceiver(t, nil), newReceiver(t, down)
	withAlerts(h, alerts, "")
	h.write("developers/acme.yaml", webhook("acme", app.URL, "a-secret-of-acme", "retry: { retries: 0 }"))
	d := h.start()
	for range 12 {
		d.send(t, "acme", []byte(`{"type":"sleep"}`))
	}
	d.balanced(t)
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	alerts.wait(t, 1)
	all := notices(t, alerts)
	if n := all[0]; len(all) != 1 || n.Type != "delivery.dead" || n.Count != 12 || len(n.Deliveries) != 10 || n.Reason != "attempts used up: answered 500 Internal Server Error" {
		t.Errorf("%+v", all)
	}
	for _, id := range all[0].Deliveries {
		if got, err := d.Delivery(t.Context(), id); err != nil || got.State != "dead" {
			t.Errorf("delivery %s: %+v, %v", id, got, err)
		}
	}
	if _, err := d.Replay(t.Context(), client.ReplayRequest{Developer: "acme", States: []string{"dead"}, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	alerts.wait(t, 1)
	if r := notices(t, alerts)[1]; r.Type != "replay.finished" || r.Developer != "acme" || r.Replay.Found != 12 || r.Replay.State != "finished" {
		t.Errorf("%+v", r)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}

	h.write("developers/ops.yaml", webhook("ops", app.URL, "a-secret-of-ops", "retry: { retries: 0 }"))
	d = h.start()
	d.send(t, "ops", []byte(`{"type":"sleep"}`))
	d.balanced(t)
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	h.start().balanced(t)
	if !strings.Contains(h.log.String(), "msg=delivery.dead developer=ops") {
		t.Error("the log does not tell of the death")
	}
	for _, r := range app.all() {
		if strings.Contains(string(r.body), "delivery.dead") {
			t.Errorf("a notice was made of a notice: %s", r.body)
		}
	}
}
