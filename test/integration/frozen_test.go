package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

func refuseFirst(n int, w http.ResponseWriter, _ *http.Request) {
	if n == 1 {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// A retry goes where its first attempt went, with the secret of then, even
// when the settings changed and the daemon was restarted in between.
func TestFrozenRetryOutlivesReloadAndRestart(t *testing.T) {
	for name, restart := range map[string]bool{"reload": false, "restart": true} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			before, after := newReceiver(t, refuseFirst), newReceiver(t, nil)
			retry := "retry: { waits: [2s], jitter: 0 }"
			h.write("developers/acme.yaml", webhook("acme", before.URL, "the-old-secret", retry))
			d := h.start()
			first := d.send(t, "acme", []byte(`{"type":"sleep","n":1}`))
			before.wait(t, 1)

			h.write("developers/acme.yaml", webhook("acme", after.URL, "the-new-secret", retry))
			if restart {
				if err := d.stop(); err != nil {
					t.Fatal(err)
				}
				d = h.start()
			} else if _, err := d.app.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.send(t, "acme", []byte(`{"type":"sleep","n":2}`))
			after.wait(t, 1)
			before.wait(t, 1)
			d.balanced(t)

			tries := before.all()
			if len(tries) != 2 || len(after.all()) != 1 {
				t.Fatalf("the old endpoint has %d requests and the new one %d, want 2 and 1", len(tries), len(after.all()))
			}
			if string(tries[1].body) != `{"type":"sleep","n":1}` || string(after.all()[0].body) != `{"type":"sleep","n":2}` {
				t.Errorf("wrong bodies: %s, %s", tries[1].body, after.all()[0].body)
			}
			if gap := tries[1].at.Sub(tries[0].at); gap < 2*time.Second {
				t.Errorf("the retry came %s after the first attempt, want its wait of 2s", gap)
			}
			for i, r := range tries {
				if err := signature.Verify("the-old-secret", r.header.Get("terra-signature"), r.body, r.at, time.Minute); err != nil {
					t.Errorf("attempt %d is not signed with the old secret: %v", i+1, err)
				}
			}
			if a, b := tries[0].header, tries[1].header; a.Get("x-terra-trace-id") != b.Get("x-terra-trace-id") || a.Get("terra-reference") != first.Reference {
				t.Errorf("the retry changed its trace id or reference: %v, %v", a, b)
			}
		})
	}
}
