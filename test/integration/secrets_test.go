package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/pkg/secret/secrettest"
)

// echo is a far side that repeats the credentials of the settings and of the
// request, one form of one of them in each answer.
type echo struct {
	known []string // of the settings

	mu   sync.Mutex
	said []secrettest.Form
}

func (e *echo) answer(n int, w http.ResponseWriter, req *http.Request) {
	_, signature, _ := strings.Cut(req.Header.Get("terra-signature"), "v1=")
	known := append([]string{signature, path.Base(req.URL.Path), req.URL.RawQuery, req.Header.Get("Authorization"), req.Header.Get("X-Api-Key")}, e.known...)
	forms := secrettest.Forms(known[(n-1)%len(known)])
	form := forms[(n-1)/len(known)%len(forms)]
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, form)
	if n%50 == 0 { // a failure is logged elsewhere than a success, and few leave the breaker alone
		w.WriteHeader(http.StatusInternalServerError)
	}
	fmt.Fprintf(w, "we got %s from you", form.Text)
}

// TestSecretsAreNowhereInClear: the log, the API, the metrics and the store hold no form in which a far
// side may repeat a secret. Frozen retries still need the secret after a restart.
func TestSecretsAreNowhereInClear(t *testing.T) {
	const signing, bearer, header = "hunter2-signing/hunter2", "ya29.hunter2/bearer+hunter2", `header-<hunter2>&"hunter2"`
	far := &echo{known: []string{signing, bearer}}
	r := newReceiver(t, far.answer)
	h := newHome(t)
	h.write("secrets/acme/hook", signing)
	h.write("developers/acme.yaml", `developer: acme
destinations:
  - name: app
    kind: webhook
    retry: { waits: [1ms, 1ms, 1ms] }
    settings:
      url: "`+r.URL+`/hook/T0ken-of-the-path-hunter2?token=query-hunter2"
      allow_http: true
      secret: "${file:secrets/acme/hook}"
      auth: { bearer: "`+bearer+`" }
      headers: { X-Api-Key: '`+header+`' }
`)
	d := h.start()
	events := 7 * len(secrettest.Forms(header))
	for n := range events {
		d.send(t, "acme", fmt.Appendf(nil, `{"type":"x","n":%d}`, n))
	}
	d.balanced(t)
	shown := map[string][]byte{"the API": apiShows(t, d), "the metrics": []byte(d.metrics(t))}
	if n := bytes.Count(shown["the API"], []byte(secret.Redacted)); n < events {
		t.Errorf("%d answers are shown with something taken out, of %d", n, events)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	shown["the log"] = h.log.Bytes()
	storeHolds(t, filepath.Join(h.dir, "store"), shown)
	slices.SortFunc(far.said, func(a, b secrettest.Form) int { return strings.Compare(a.Core, b.Core) })
	for _, f := range slices.CompactFunc(far.said, func(a, b secrettest.Form) bool { return a.Core == b.Core }) {
		for where, text := range shown {
			if bytes.Contains(text, []byte(f.Core)) {
				t.Errorf("%s shows a secret as %s: %s", where, f.Name, f.Core)
			}
		}
	}
}

// apiShows returns what the API says of every delivery.
func apiShows(t *testing.T, d *daemon) []byte {
	t.Helper()
	var all bytes.Buffer
	for delivery, err := range d.Deliveries(t.Context(), client.DeliveryFilter{Developer: "acme"}) {
		if err != nil {
			t.Fatal(err)
		}
		one, err := d.Delivery(t.Context(), delivery.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range one.Attempts {
			fmt.Fprintf(&all, "%+v\n", a)
		}
	}
	return all.Bytes()
}

// storeHolds adds the files of a store.
func storeHolds(t *testing.T, dir string, to map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		to[path], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(to) < 5 {
		t.Errorf("read the store: %d texts, %v", len(to), err)
	}
}
