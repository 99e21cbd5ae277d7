package servers

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// GCS is a server of the JSON and XML API of Cloud Storage, without
// authentication.
type GCS struct {
	Endpoint string // http://127.0.0.1:port; the JSON API is below /storage/v1/
}

var gcs shared

// StartGCS returns fake-gcs-server. It checks generation preconditions. It checks no credentials, no
// signature or expiry of links, and no checksum of resumable uploads.
func StartGCS(t testing.TB) GCS {
	t.Helper()
	if e := os.Getenv("FANTAIL_TEST_GCS_ENDPOINT"); e != "" {
		return GCS{strings.TrimSuffix(e, "/")}
	}
	return GCS{"http://" + gcs.use(t, func(at port) (*process, error) {
		bin, err := build("gcsserver")
		if err != nil {
			return nil, err
		}
		dir, err := newDir("gcs")
		if err != nil {
			return nil, err
		}
		return launch(command{
			name: "fake-gcs-server", path: bin, args: []string{"-addr", at.addr()},
			quit: syscall.SIGTERM, ready: answers("http://" + at.addr() + "/_internal/healthcheck"),
		}, dir)
	})}
}

// Bucket makes a bucket of the test's own and returns its name.
func (g GCS) Bucket(t testing.TB) string {
	t.Helper()
	name := Name()
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.Endpoint+"/storage/v1/b?project=test", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("make a bucket: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("make a bucket: %s", resp.Status)
	}
	return name
}
