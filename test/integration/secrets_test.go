package integration

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// No secret stands in the log or anywhere in the store, though frozen retries
// need it after a restart.
func TestSecretsAreNowhereInClear(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2"
	h := newHome(t)
	h.write("secrets/acme/hook", secret)
	r := newReceiver(t, func(n int, w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		w.Write([]byte("we got " + req.Header.Get("Authorization"))) // a far side that echoes credentials
	})
	h.write("developers/acme.yaml", `developer: acme
destinations:
  - name: app
    kind: webhook
    retry: { waits: [1h] }
    settings:
      url: "`+r.URL+`"
      allow_http: true
      secret: "${file:secrets/acme/hook}"
      auth: { bearer: "`+secret+`-bearer" }
`)
	d := h.start()
	d.send(t, "acme", []byte(`{"type":"x"}`))
	r.wait(t, 1)
	var log bytes.Buffer
	until(t, "the attempt is in the log", func() bool {
		log.Reset()
		for delivery, err := range d.Deliveries(t.Context(), client.DeliveryFilter{Developer: "acme"}) {
			if err != nil {
				t.Fatal(err)
			}
			one, err := d.Delivery(t.Context(), delivery.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range one.Attempts {
				log.WriteString(a.Answer)
			}
		}
		return log.Len() > 0
	})
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(log.Bytes(), []byte(secret)) {
		t.Errorf("the delivery log shows the secret: %s", log.Bytes())
	}
	if bytes.Contains(h.log.Bytes(), []byte(secret)) {
		t.Errorf("the log shows the secret: %s", h.log.Bytes())
	}
	seen := 0
	err := filepath.WalkDir(filepath.Join(h.dir, "store"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		seen += len(b)
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s holds the secret in clear", path)
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Errorf("read the store: %d bytes, %v", seen, err)
	}
}
