package integration

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/healthcheck"
)

var healthy = regexp.MustCompile(`^\{"type":"healthcheck","version":"2022-03-16","status":"normal","creation_timestamp":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00","sent_webhooks_last_hour":(\d+),"trend_percentage":([\d.-]+)\}$`)

// soon names a destination whose turn comes within a few seconds: names decide the turns.
func soon(t *testing.T) string {
	now := time.Now()
	for n := range 100_000 {
		name := fmt.Sprint("d", n)
		if in := (healthcheck.Target{Developer: "acme", Name: name}).Next(now, time.Minute).Sub(now); in > 2*time.Second && in < 4*time.Second {
			return name
		}
	}
	t.Fatal("no name has its turn soon")
	return ""
}

func TestHealthchecksGoToThoseWhoWantThem(t *testing.T) {
	h := newHome(t)
	wants, other := newReceiver(t, nil), newReceiver(t, nil)
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.0/8] }
shutdown_grace: 2s
healthcheck: { every: 1m, kinds: [webhook] }
`)
	entry := "  - name: %s\n    kind: webhook\n    events: [%s]\n    settings: { url: %q, secret: a-secret-of-acme, allow_http: true }\n"
	name := soon(t)
	h.write("developers/acme.yaml", "developer: acme\ndestinations:\n"+
		fmt.Sprintf(entry, name, "sleep, healthcheck", wants.URL)+fmt.Sprintf(entry, "other", "sleep", other.URL))
	d := h.start()
	for range 3 {
		d.send(t, "acme", []byte(`{"type":"sleep"}`))
	}
	d.balanced(t)
	before := len(wants.all()) // 3, and on a slow machine a healthcheck whose turn has come already
	until(t, "a healthcheck comes", func() bool { return len(wants.all()) > before })
	all := wants.all()
	m := healthy.FindStringSubmatch(string(all[before].body))
	if m == nil || m[1] != strconv.Itoa(before) || m[2] != "100" {
		t.Errorf("after %d deliveries the healthcheck is %s", before, all[before].body)
	}
	d.balanced(t)
	for _, r := range other.all() {
		if strings.Contains(string(r.body), "healthcheck") {
			t.Errorf("a healthcheck went to one that does not want it: %s", r.body)
		}
	}
}
