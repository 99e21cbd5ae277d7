package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const checkedGood = `{"developer":"acme","name":"app","kind":"webhook","state":"active","pending":0,"in_flight":0,"breaker":"closed",
	"check":{"at":"2026-07-01T12:00:00Z","ms":12,"result":"ok","certificate_expires":"2026-08-31T13:00:00Z","findings":[{"name":"tls","result":"ok","message":"the certificate ends"}]}}`

const checkedBad = `{"developer":"acme","name":"lake","kind":"s3","state":"held","pending":0,"in_flight":0,"breaker":"closed",
	"check":{"at":"2026-07-01T12:00:00Z","ms":12,"result":"fail","findings":[{"name":"connect","result":"ok","message":"connected"},
	{"name":"access","result":"fail","message":"there is no bucket\u001b[2J","advice":"make it"}]}}`

func checksOf(t *testing.T) *fake {
	return newFake(t, map[string]http.HandlerFunc{
		"GET /v1/destinations": say(`{"items":[` + checkedGood + `,` + checkedBad + `,
			{"developer":"acme","name":"old","kind":"webhook","state":"removed","pending":0,"in_flight":0,"breaker":"closed"}],"next":""}`),
		"POST /v1/destinations/acme/app/check":  say(checkedGood),
		"POST /v1/destinations/acme/lake/check": say(checkedBad),
	})
}

func TestCheckShowsARowForEachFault(t *testing.T) {
	f := checksOf(t)
	f.run(t, "check").want(t, 1, `DESTINATION  KIND     CHECK   RESULT  WHAT IT FOUND                                            WHAT TO DO
acme/app     webhook  all     ok      deliveries can be made; the certificate ends in 61 days  -
acme/lake    s3       access  fail    there is no bucket\x1b[2J                                make it
`, "")
	if r := f.run(t, "check", "--all", "acme/lake"); r.code != 1 || !strings.Contains(r.out, "connected") || strings.Contains(r.out, "acme/app") {
		t.Errorf("exit %d:\n%s%s", r.code, r.out, r.err)
	}
	if r := f.run(t, "check", "acme/app", "--json"); r.code != 0 || strings.Count(r.out, "\n") != 1 || !strings.Contains(r.out, `"result":"ok"`) {
		t.Errorf("exit %d:\n%s%s", r.code, r.out, r.err)
	}
	if r := f.run(t, "check", "acme/lale"); r.code != 1 || !strings.Contains(r.err, `acme has no destination "lale": did you mean lake?`) {
		t.Errorf("exit %d:\n%s%s", r.code, r.out, r.err)
	}
	for _, arg := range []string{"/", "acme/", "/app"} {
		if r := f.run(t, "check", arg); r.code != 2 {
			t.Errorf("%s: exit %d", arg, r.code)
		}
	}
}

// A developer whose file has faults is named, and the command fails.
func TestCheckWithoutADaemonNamesWhatItCannotCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"fantail.yaml": "listen: 127.0.0.1:0\n", "developers/acme.yaml": "developer: acme\ndestinations: 7\n", "developers/globex.yaml": "developer: globex\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := trial{}.run(t, "check", "--config", filepath.Join(dir, "fantail.yaml"))
	if r.code != 1 || !strings.Contains(r.out, "acme/*") || !strings.Contains(r.out, "the settings have faults") {
		t.Errorf("exit %d:\n%s%s", r.code, r.out, r.err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("a check made the store's folder")
	}
}
