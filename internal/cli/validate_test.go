package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/explain"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// paper is a kind that can show its requests, blank is one that cannot.
type paper struct {
	URL    string       `yaml:"url"`
	Secret secret.Value `yaml:"secret"`
}

func (p paper) Validate() error {
	if p.URL == "" {
		return errors.New("url: is required")
	}
	return nil
}

type opened struct {
	paper
	deps destination.Deps
}

func (opened) Send(context.Context, destination.Delivery) (destination.Receipt, error) {
	panic("explain sent something")
}
func (opened) Close() error { return nil }

type explaining struct{ opened }

func (o explaining) Explain(d destination.Delivery) (destination.Explanation, error) {
	if d.Event.Type == "deauth" {
		return destination.Explanation{}, errors.New("too bitter\x1b[0m")
	}
	if _, err := o.deps.HTTP.Get("http://127.0.0.1:1/"); !errors.Is(err, explain.ErrOffline) {
		panic("a connection was made")
	}
	return destination.Explanation{
		Target: o.URL, Key: "k\x1b", Body: string(d.Event.Body),
		Headers: http.Header{"X-Reference": {d.Event.Reference}, "Agent": {o.deps.UserAgent}, "Brand": {o.deps.Brand}, "Evil": {"a\x1b[2Jb"}},
	}, nil
}

func paperKinds() destination.Registry {
	return destination.NewRegistry(
		destination.Define("paper", destination.Traits{}, func() paper { return paper{} },
			func(p paper, deps destination.Deps) (destination.Destination, error) {
				return explaining{opened{p, deps}}, nil
			}),
		destination.Define("blank", destination.Traits{}, func() paper { return paper{} },
			func(p paper, deps destination.Deps) (destination.Destination, error) { return opened{p, deps}, nil }),
	)
}

// settings writes files and returns the path of fantail.yaml.
func settings(t *testing.T, developers map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("fantail.yaml", "keys: [\"a key that is long enough for a test\"]\nstore: { pebble: { dir: data/store } }\n")
	write("developers/.keep", "")
	for name, text := range developers {
		write("developers/"+name+".yaml", text)
	}
	return filepath.Join(dir, "fantail.yaml")
}

const acme = `developer: acme
destinations:
  - name: app
    kind: paper
    settings: { url: "https://acme.example/a", secret: hush }
  - name: off
    kind: blank
    enabled: false
    settings: { url: "https://acme.example/b" }
  - name: sleepers
    kind: paper
    events: [sleep, "lab_report.*"]
    settings: { url: "https://acme.example/c" }
`

func TestValidate(t *testing.T) {
	good := settings(t, map[string]string{"acme": acme, "empty": "developer: empty\n"})
	bad := settings(t, map[string]string{"acme": strings.ReplaceAll(acme, "kind: paper", "kind: papper"), "b": "developer: b\nfrobnicate: 1\n"})
	tr := trial{kinds: paperKinds()}

	r := tr.run(t, "validate", "--config", good)
	if r.code != 0 || !strings.Contains(r.out, "is in order: 2 developers, 3 destinations (1 blank, 2 paper).") ||
		!strings.Contains(r.err, "acme/off is disabled") || !strings.Contains(r.err, "empty has no destinations") {
		t.Errorf("good: %+v", r)
	}
	if !strings.Contains(r.out, "Each developer may have 1000 destinations, any number of attempts, waits of at least 1s, and RSA keys of at most 8192 bits") {
		t.Errorf("the limits: %s", r.out)
	}
	r = tr.run(t, "validate", "--config", bad)
	if r.code != 1 || r.out != "" || strings.Count(r.err, "acme.yaml:") != 2 || !strings.Contains(r.err, "b.yaml:2: ") || !strings.Contains(r.err, "3 faults to mend") {
		t.Errorf("bad: %+v", r)
	}
	r = tr.run(t, "validate", "--config", filepath.Join(t.TempDir(), "none.yaml"))
	if r.code != 1 || !strings.Contains(r.err, "none.yaml") {
		t.Errorf("missing: %+v", r)
	}

	secure := settings(t, nil)
	text, err := os.ReadFile(secure)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secure, append(text, "tls: { cert: none.crt, key: none.key }\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	r = tr.run(t, "validate", "--config", secure)
	if r.code != 1 || r.out != "" || !strings.Contains(r.err, "none.crt: no such file") {
		t.Errorf("a certificate that serve would not find: %+v", r)
	}

	var v validation
	r = tr.run(t, "validate", "--json", "--config", good)
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != 0 || !v.Valid || v.Destinations != 3 || v.Kinds["paper"] != 2 || len(v.Warnings) < 2 || r.err != "" {
		t.Errorf("good as JSON: %+v, %v", r, err)
	}
	r = tr.run(t, "validate", "--json", "--config", bad)
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != 1 || v.Valid || len(v.Faults) != 3 || v.Faults[2].Line != 2 || r.err != "" {
		t.Errorf("bad as JSON: %+v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(good), "data")); !os.IsNotExist(err) {
		t.Error("validate made the store's folder")
	}
}

func TestExplain(t *testing.T) {
	path := settings(t, map[string]string{"acme": acme, "broken": "developer: broken\nx: 1\n"})
	body := "{\"type\":\"activity\",\n \"x\":\"\u009b\"}"
	tr := trial{kinds: paperKinds(), in: body}

	r := tr.run(t, "explain", "--config", path, "--reference", "ref-1", "-")
	want := `acme/app (paper): would get it
    to    https://acme.example/a
    key   k\x1b
    Agent: ` + userAgent() + `
    Brand: terra
    Evil: a\x1b[2Jb
    X-Reference: ref-1
    body  30 B
{"type":"activity",
 "x":"\x9b"}

acme/off (blank): would wait: enabled: false; the delivery is made and goes out once it is enabled; destinations of kind blank cannot show their requests
acme/sleepers (paper): would not get it: events: [sleep, lab_report.*] does not include activity
`
	r.want(t, 0, want, "")

	r = tr.run(t, "explain", "--config", path, "--developer", "acme", "--json", "-")
	var got []explain.Result
	for line := range strings.Lines(r.out) {
		var x explain.Result
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatal(err)
		}
		got = append(got, x)
	}
	if len(got) != 3 || got[0].Decision != "sends" || got[0].Request.Body != body || got[1].Decision != "waits" || got[2].Decision != "filtered" {
		t.Errorf("as JSON: %+v", r)
	}
	if strings.Contains(r.out, "hush") {
		t.Error("a secret was shown")
	}

	for _, tc := range []struct {
		body string
		args []string
		code int
		want string
	}{
		{`{"type":"deauth"}`, []string{"--developer", "acme"}, 0, `would fail: too bitter\x1b[0m`},
		{`{}`, []string{"--developer", "acme"}, 1, "- would be refused"},
		{body, []string{"--developer", "nobody"}, 1, `there is no developer "nobody": known are acme`},
		{body, []string{"--developer", "broken"}, 1, "broken.yaml:2:"},
	} {
		tr.in = tc.body
		r := tr.run(t, append(append([]string{"explain", "--config", path}, tc.args...), "-")...)
		if r.code != tc.code || !strings.Contains(r.out+r.err, tc.want) {
			t.Errorf("%v: %+v, want %q", tc.args, r, tc.want)
		}
	}
	if r := tr.run(t, "explain", "--config", path, "--developer", "acme", filepath.Join(t.TempDir(), "none.json")); r.code != 1 || !strings.Contains(r.err, "none.json") {
		t.Errorf("missing file: %+v", r)
	}
	two := settings(t, map[string]string{"acme": acme, "b": "developer: b\n"})
	if r := tr.run(t, "explain", "--config", two, "-"); r.code != 2 || !strings.Contains(r.err, "2 developers: name one") {
		t.Errorf("no developer named: %+v", r)
	}
}
