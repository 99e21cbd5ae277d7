package integration

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
)

// An endpoint was down and its deliveries died. Once it is mended, a plain replay brings every event,
// once, over a restart in the middle.
func TestReplayAfterAnEndpointIsMended(t *testing.T) {
	const events = 300
	var down atomic.Bool
	down.Store(true)
	r := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(500)
		}
	})
	h := newHome(t)
	h.write("developers/acme.yaml", webhook("acme", r.URL, "s3cret", "retry: { retries: 0 }"))
	d := h.start()
	for i := range events {
		d.send(t, "acme", fmt.Appendf(nil, `{"type":"sleep","user":{"user_id":"u-%d"},"n":%d}`, i%7, i))
	}
	if rows := d.balanced(t); rows[0].Dead != events {
		t.Fatalf("audit %+v, want all dead", rows)
	}
	type seen struct{ trace, reference, ordering string }
	first := map[string]seen{}
	before := r.all()
	for _, q := range before {
		first[string(q.body)] = seen{q.header.Get("x-terra-trace-id"), q.header.Get("terra-reference"), q.header.Get("x-terra-ordering-timestamp")}
	}
	down.Store(false)

	fantail := func(args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		code = cli.Run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, all.Destinations())
		return code, stdout.String(), stderr.String()
	}
	sentence := strings.Fields("replay --developer acme --destination app --since 6h --state dead --server")
	if code, out, errs := fantail(append(sentence, d.app.URL(), "--dry-run")...); code != 0 || out != "would make 300 deliveries\n" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs := fantail(append(sentence, d.app.URL(), "--rate", "50/s", "--no-wait", "--yes")...)
	if code != 0 || !strings.HasPrefix(out, "replay 2 has begun") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	until(t, "a part of it is made", func() bool {
		p, err := d.GetReplay(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if p.State != "running" {
			t.Fatalf("it ended before the restart: %+v", p)
		}
		return p.Made >= 100
	})
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	until(t, "the replay ends", func() bool {
		p, err := d.GetReplay(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if p.State == "finished" && (p.Found != events || p.Made != events || p.Pending != 0 || p.Gone != 0 || p.By != "local") {
			t.Errorf("the replay has ended as %+v", p)
		}
		return p.State != "running"
	})
	if rows := d.balanced(t); rows[0].Accepted != 2*events || rows[0].Dead != events || rows[0].Delivered != events {
		t.Errorf("audit %+v", rows)
	}
	again := map[string]seen{}
	for _, q := range r.all()[len(before):] {
		was, now := first[string(q.body)], seen{q.header.Get("x-terra-trace-id"), q.header.Get("terra-reference"), q.header.Get("x-terra-ordering-timestamp")}
		if _, twice := again[string(q.body)]; twice {
			t.Errorf("%s arrived twice", q.body)
		}
		if now.trace == was.trace || now.trace == "" || now.reference != was.reference || now.ordering != was.ordering {
			t.Errorf("%s arrived as %+v, at first as %+v", q.body, now, was)
		}
		again[string(q.body)] = now
	}
	if len(again) != events {
		t.Errorf("%d events arrived, want %d", len(again), events)
	}

	began := time.Now()
	if code, out, errs := fantail(append(sentence, d.app.URL(), "--yes")...); code != 0 || out != "made 0 deliveries\n" {
		t.Errorf("the same again: exit %d after %v: %s%s", code, time.Since(began), out, errs)
	}
	d.balanced(t)
}
