package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// command runs the command line against d and returns what it writes.
func (d *daemon) command(t *testing.T, want int, args ...string) (out, errs string) {
	t.Helper()
	var stdout, stderr strings.Builder
	args = append(args, "--server", d.app.URL())
	if code := cli.Run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, all.Destinations()); code != want {
		t.Fatalf("fantail %s ends with %d, want %d\n%s%s", strings.Join(args, " "), code, want, &stdout, &stderr)
	}
	return stdout.String(), stderr.String()
}

// Exported events arrive elsewhere byte for byte, with their reference and ordering time. Handed in
// twice, they arrive once.
func TestExportedEventsArriveElsewhereAsTheyWere(t *testing.T) {
	bodies := []string{
		`{"type":"sleep","n":1.0e5,"text":"\u00e9é"}`,
		"{\n  \"type\": \"sleep\",\r\n  \"n\": 2\n}\n",
		"\t{\"type\":\"activity\" , \"user\":{\"user_id\":\"u1\"} } ",
		`{"type":"activity","event":{"body":"x"},"body":"eA==","user":{"user_id":"u2"}}`,
	}
	from, to := newHome(t), newHome(t)
	refuses := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	takes := newReceiver(t, nil)
	from.write("developers/acme.yaml", webhook("acme", refuses.URL, "a-secret-of-acme", "retry: { retries: 0 }"))
	to.write("developers/acme.yaml", webhook("acme", takes.URL, "a-secret-of-acme", "max_in_flight: 1"))
	a, b := from.start(), to.start()

	var accepted []client.Event
	for i, body := range bodies {
		r := client.SendRequest{Developer: "acme", Body: []byte(body), Reference: fmt.Sprint("request-", i)}
		if i == 0 {
			r.Ordering = time.UnixMilli(1782897153123)
		}
		done, err := a.Send(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		e, err := a.Event(t.Context(), done.ID)
		if err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, e)
	}
	a.balanced(t)

	file := filepath.Join(t.TempDir(), "dead.ndjson")
	if _, said := a.command(t, 0, "export", "--developer", "acme", "--destination", "app", "--state", "dead", "--out", file); said != "4 events written to "+file+".\n" {
		t.Errorf("it says %q", said)
	}
	for range 2 {
		b.command(t, 0, "send", file)
	}
	b.balanced(t)
	got := takes.all()
	if len(got) != len(bodies) {
		t.Fatalf("%d requests arrived, want %d", len(got), len(bodies))
	}
	for i, r := range got {
		if string(r.body) != bodies[i] {
			t.Errorf("body %d arrived as %q, was %q", i, r.body, bodies[i])
		}
		if ref := r.header.Get("terra-reference"); ref != accepted[i].Reference {
			t.Errorf("reference %d is %s, was %s", i, ref, accepted[i].Reference)
		}
	}
	var i int
	for e, err := range b.Events(t.Context(), client.EventFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		was := accepted[len(accepted)-1-i]
		if i++; !e.Ordering.Equal(was.Ordering) || e.ID == was.ID {
			t.Errorf("event %s has ordering time %v, %s had %v", e.ID, e.Ordering, was.ID, was.Ordering)
		}
	}

	for _, c := range []struct {
		args []string
		want int // lines
	}{
		{nil, 4}, {[]string{"--type", "sleep"}, 2}, {[]string{"--user", "u1"}, 1}, {[]string{"--limit", "3"}, 3},
		{[]string{"--state", "delivered"}, 0}, {[]string{"--state", "dead", "--type", "activity", "--user", "u2"}, 1},
		{[]string{"--unmatched"}, 0}, {[]string{"--until", "1h"}, 0},
	} {
		out, _ := a.command(t, 0, append([]string{"export"}, c.args...)...)
		if n := strings.Count(out, "\n"); n != c.want {
			t.Errorf("export %v writes %d lines, want %d:\n%s", c.args, n, c.want, out)
		}
	}
	a.command(t, 1, "export", "--developer", "nobody")
	a.command(t, 1, "export", "--out", file)
	if text, err := os.ReadFile(file); err != nil || strings.Count(string(text), "\n") != 4 {
		t.Errorf("the file that was there is %q, %v", text, err)
	}
}

// An import never overwrites what is newer there.
func TestImportOverwritesNothingNewer(t *testing.T) {
	objects := servers.StartS3(t)
	_, bucket, admin := newS3(t)
	daily := func(steps int) []byte {
		return fmt.Appendf(nil, `{"type":"daily","version":"2022-03-16","user":{"user_id":"u"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z","end_time":"2026-07-02T00:00:00Z"},"steps":%d}]}`, steps)
	}
	from, to := newHome(t), newHome(t)
	refuses := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	from.write("developers/acme.yaml", webhook("acme", refuses.URL, "a-secret-of-acme", "retry: { retries: 0 }"))
	to.write("developers/acme.yaml", fmt.Sprintf(`developer: acme
destinations:
  - name: app
    kind: s3
    settings: { bucket: %s, endpoint: %q, allow_http: true, region: %s, access_key_id: %s, secret_access_key: %q }
`, bucket, objects.Endpoint, objects.Region, objects.AccessKey, objects.SecretKey))
	a, b := from.start(), to.start()
	a.send(t, "acme", daily(1))
	a.send(t, "acme", daily(2))
	a.balanced(t)
	file := filepath.Join(t.TempDir(), "acme.ndjson")
	a.command(t, 0, "export", "--out", file)

	b.send(t, "acme", daily(3))
	b.balanced(t)
	b.command(t, 0, "send", file)
	b.balanced(t)
	got := inS3(t, admin, bucket)
	for key, o := range got {
		if !strings.Contains(string(o.body), `"steps":3`) {
			t.Errorf("%s holds %s", key, o.body)
		}
	}
	if len(got) != 1 {
		t.Errorf("the bucket holds %d objects", len(got))
	}
}
