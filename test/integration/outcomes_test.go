package integration

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// A follower is told of attempts, and a stop waits for no follower. After the restart it is known what
// a destination answered.
func TestOutcomesAreFollowedAndOutliveARestart(t *testing.T) {
	h := newHome(t)
	down := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.0/8] }
shutdown_grace: 10m
`)
	h.write("developers/acme.yaml", webhook("acme", down.URL, "a-secret-of-acme", "retry: { retries: 0 }"))
	d := h.start()
	told, ended := make(chan client.LiveAttempt, 1<<16), make(chan error, 1)
	go func() {
		for a, err := range d.Follow(t.Context(), "acme", "app") {
			if err != nil {
				ended <- err
				return
			}
			told <- a
		}
	}()
	until(t, "the first is told", func() bool {
		d.send(t, "acme", []byte(`{"type":"sleep","user":{"user_id":"ann"}}`))
		select {
		case a := <-told:
			if a.Class != "transient" || a.Code != 500 || a.User != "ann" || a.Type != "sleep" || a.State != "dead" || a.Fault != "answered 500 Internal Server Error" {
				t.Errorf("%+v", a)
			}
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	d.balanced(t)
	want := func(when string) {
		t.Helper()
		for got, err := range d.Destinations(t.Context(), "acme", "") {
			if err != nil || !strings.HasSuffix(got.Reason, "failed: answered 500 Internal Server Error") || got.Dead24h < 1 || got.LastAnswer == nil || got.LastAnswer.Code != 500 || !got.LastSuccess.IsZero() {
				t.Errorf("%s: %+v %v", when, got, err)
			}
		}
		checked, err := d.Check(t.Context(), "acme", "app")
		if err != nil || checked.Check.Result != "warn" {
			t.Errorf("%s, the check: %+v %v", when, checked.Check, err)
		}
	}
	want("at work")
	began := time.Now()
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("the stop took %v", took)
	}
	if refused, ok := errors.AsType[*client.Error](<-ended); !ok || refused.Code != "stopping" {
		t.Errorf("who followed is told %v", refused)
	}
	d = h.start()
	want("after a restart")
	d.wantMetric(t, `fantail_last_success_timestamp_seconds{destination="app",developer="acme"} 0`)
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
}
