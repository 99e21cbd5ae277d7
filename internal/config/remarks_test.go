package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// remarked are the notes of a developer's file with one destination, without
// those of the key and of the secrets.
func remarked(t *testing.T, daemon, destination string) []string {
	t.Helper()
	path := folder(t, map[string]string{
		"fantail.yaml":         daemon,
		"developers/acme.yaml": "developer: acme\ndestinations:\n  - { name: app, kind: webhook, " + destination + " }\n",
	})
	var got []string
	for _, n := range load(t, path).Notes {
		if strings.Contains(n.File, "acme.yaml") {
			got = append(got, n.Message)
		}
	}
	return got
}

func wantNotes(t *testing.T, of string, got []string, want ...string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Errorf("%s: %q, want %q", of, got, want)
	}
}

func TestPatternsThatHardlyMeanWhatTheySay(t *testing.T) {
	const settings = `settings: { url: "https://acme.example", secret: a-secret-of-acme-1 }, events: `
	const regexp, slip, nothing, nobody = "is no regular expression", "did you mean", "matches no type that is known", "no event that is known can reach"
	for events, want := range map[string][]string{
		`[sleep, activity, "lab_report.*", "*"]`: nil, `["*auth*"]`: nil, `[order.created]`: nil, `[my_own_type, sleep]`: nil, `["delivery.*"]`: nil,
		`[slep]`: {nobody, slip + " sleep?"}, `[slep, activity]`: {slip}, `[Sleep]`: {nobody, slip + " sleep?"}, `["sleep|daily", daily]`: {regexp},
		`["(sleep)"]`: {nobody, regexp}, `["^sleep"]`: {nobody, regexp}, `["lab_report\\.x"]`: {nobody, regexp}, `["sleep.*"]`: {nobody, nothing}, `[".*"]`: {nobody, nothing},
		`["order.*", sleep]`: {nothing},
	} {
		wantNotes(t, events, remarked(t, "", settings+events), want...)
	}
	// The producer's own types are known where fantail.yaml names them.
	if got := remarked(t, "types: { slep: { data: data }, order.created: { data: data } }\n", settings+`[slep, "order.*"]`); len(got) != 0 {
		t.Errorf("types of the operator: %q", got)
	}
}

func TestDestinationsThatNoConnectionReaches(t *testing.T) {
	const refused, own = "which no connection is made to", "this daemon's own API"
	const daemon = "listen: 127.0.0.1:8080\n"
	for url, want := range map[string][]string{
		"https://acme.example/": nil, "https://8.8.8.8/": nil, "https://10.1.2.3/": {refused}, "https://127.0.0.1:9000/": {refused}, "https://localhost/": {refused},
		"https://[::1]/": {refused}, "https://169.254.169.254/": {refused}, "https://127.0.0.1:8080/v1/events": {own}, "https://localhost:8080/": {own},
		"https://127.0.0.2:8080/": {refused},
	} {
		wantNotes(t, url, remarked(t, daemon, `settings: { url: "`+url+`", secret: a-secret-of-acme-1 }`), want...)
	}
	for listen, want := range map[string]string{"0.0.0.0:443": own, "10.0.0.7:443": own, "10.0.0.7:8443": refused} {
		host := map[bool]string{true: "localhost", false: "10.0.0.7"}[listen == "0.0.0.0:443"]
		wantNotes(t, listen, remarked(t, "listen: "+listen+"\ntokens: [{ name: a, value: 0123456789abcdef, may: [ingest] }]\n", `settings: { url: "https://`+host+`/x", secret: a-secret-of-acme-1 }`), want)
	}
	public := "payloads: { dir: { path: data/p, public_url: https://events.example.com } }\n"
	wantNotes(t, "public_url", remarked(t, public, `settings: { url: "https://events.example.com/v1/events", secret: a-secret-of-acme-1 }`), own)
	wantNotes(t, "beside public_url", remarked(t, public, `settings: { url: "https://events.example.com/hooks", secret: a-secret-of-acme-1 }`))
	wantNotes(t, "allowed", remarked(t, "egress: { allow: [10.0.0.0/8] }\n", `settings: { url: "https://10.1.2.3/", secret: a-secret-of-acme-1 }`))
}

func TestFilesThatEverybodyMayRead(t *testing.T) {
	for mode, want := range map[os.FileMode]string{0o600: "", 0o640: "", 0o644: "can be read by every user", 0o666: "can be changed by every user", 0o662: "can be changed"} {
		path := folder(t, map[string]string{
			"fantail.yaml":         "tokens: [{ name: a, value: \"${file:secrets/token}\", may: [ingest] }]\ntls: { cert: c.crt, key: secrets/tls }\n",
			"secrets/tls":          "a key",
			"developers/acme.yaml": "developer: acme\ndestinations:\n  - { name: app, kind: webhook, settings: { url: \"https://a.example\", secret: \"${file:secrets/acme/s}\" } }\n",
			"secrets/acme/s":       "a-secret-of-acme-1",
			"secrets/token":        "0123456789abcdef0123",
		})
		for _, name := range []string{"acme/s", "token", "tls"} {
			if err := os.Chmod(filepath.Join(filepath.Dir(path), "secrets", name), mode); err != nil {
				t.Fatal(err)
			}
		}
		found := 0
		for _, n := range load(t, path).Notes {
			if strings.Contains(n.Message, "every user of this machine") {
				found++
				if want == "" || !strings.Contains(n.Message, want) {
					t.Errorf("%o: %v", mode, n)
				}
			}
		}
		if want != "" && found != 3 {
			t.Errorf("%o: %d notes, want 3", mode, found)
		}
	}
}

func TestDevelopersWhomNoTokenIsFor(t *testing.T) {
	dev := func(id string) string {
		return "developer: " + id + "\ndestinations:\n  - { name: app, kind: webhook, settings: { url: \"https://a.example\", secret: a-secret-of-acme-1 } }\n"
	}
	for tokens, want := range map[string]int{
		"[{ name: a, value: 0123456789abcdef, may: [ingest], developers: [acme] }]":                                                            1,
		"[{ name: a, value: 0123456789abcdef, may: [ingest] }]":                                                                                0,
		"[{ name: a, value: 0123456789abcdef, may: [read] }, { name: b, value: 0123456789abcdeg, may: [ingest], developers: [acme, globex] }]": 0,
		"[{ name: a, value: 0123456789abcdef, may: [read, operate] }]":                                                                         2,
	} {
		path := folder(t, map[string]string{"fantail.yaml": "tokens: " + tokens + "\n", "developers/acme.yaml": dev("acme"), "developers/globex.yaml": dev("globex")})
		found := 0
		for _, n := range load(t, path).Notes {
			if strings.Contains(n.Message, "none may hand in events of developer") {
				found++
			}
		}
		if found != want {
			t.Errorf("%s: %d notes, want %d", tokens, found, want)
		}
	}
}

func TestAQuoteWithoutAnEndIsNamedInTheDevelopersFile(t *testing.T) {
	path := folder(t, map[string]string{"developers/acme.yaml": "developer: acme\ndestinations:\n  - name: app\n    kind: webhook\n    settings:\n      url: \"https://a.example\n      secret: \"x\"\n"})
	if _, err := Load(path, kinds()); err == nil || !strings.Contains(err.Error(), "acme.yaml:6: not YAML: a text that begins with a quote here has none at its end") {
		t.Errorf("%v", err)
	}
}
