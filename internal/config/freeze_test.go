package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const frozenText = `developer: acme
destinations:
  - name: app
    kind: webhook
    events: [sleep, "lab_report.*"]
    enabled: false
    max_in_flight: 3
    rate_limit: 90/m
    timeout: 7s
    retry: { waits: [5m, 30m], settings: frozen, jitter: 0.25 }
    settings:
      url: "https://acme.example/hooks?a=b"
      secret: "${env:FANTAIL_DEV_ACME_SECRET}"
      next_secret: "literal $${x} 'quoted' \u2028\ttext"
      headers: { X-Key: "${file:secrets/acme/key}", X-Number: 007 }
      auth: { user: "123", password: "yes" }
      port: 8443
      allow_http: yes
      wait: 90s
      hosts: [a, "1", "null", "~"]
      at: 2026-07-01T09:12:33.5Z
      from: 192.0.2.1
      odd: "${env:FANTAIL_DEV_ACME_SECRET}"
  - name: db
    kind: postgres
    retry: { retries: 0 }
    settings: { url: "https://db.example", secret: x }
`

// TestThawNeedsNothingElse: frozen retries depend on it. Neither files nor variables are read
// again, and the fingerprint stays.
func TestThawNeedsNothingElse(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	binary := "\xff\x00\xfebinary"
	path := folder(t, map[string]string{"developers/acme.yaml": frozenText, "secrets/acme/key": binary + "\n"})
	snap := load(t, path)
	was := snap.Developers["acme"]
	frozen, whole := was.Destinations[0].Freeze(), was.Freeze()

	t.Setenv("FANTAIL_DEV_ACME_SECRET", "other")
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	thawed, err := Thaw(frozen, kinds(), snap.Keys)
	if err != nil {
		t.Fatal(err)
	}
	same(t, thawed, was.Destinations[0])
	if got := opened(t, thawed); got.Secret.Reveal() != "s3cret" || got.Headers["X-Key"].Reveal() != binary ||
		got.NextSecret.Reveal() != "literal ${x} 'quoted' \u2028\ttext" || got.Headers["X-Number"].Reveal() != "007" || got.Auth.User != "123" || got.Port != 8443 || got.Odd.Secret.Reveal() != "s3cret" || got.At.IsZero() || !got.AllowHTTP {
		t.Errorf("settings: %+v", got)
	}

	dev, err := ThawDeveloper(whole, kinds(), snap.Keys)
	if err != nil || dev.ID != "acme" || len(dev.Destinations) != 2 {
		t.Fatal(dev, err)
	}
	for i := range dev.Destinations {
		same(t, dev.Destinations[i], was.Destinations[i])
	}
	if !bytes.Equal(dev.Freeze(), whole) || !bytes.Equal(thawed.Freeze(), frozen) {
		t.Error("what was thawed freezes differently")
	}
}

// same compares two destinations by everything that shows.
func same(t *testing.T, got, want *Destination) {
	t.Helper()
	if !reflect.DeepEqual(reveal(opened(t, got)), reveal(opened(t, want))) {
		t.Errorf("settings:\n got %+v\nwant %+v", opened(t, got), opened(t, want))
	}
	a, b := *got, *want
	a.Open, b.Open = nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Errorf("destination:\n got %+v\nwant %+v", a, b)
	}
}

func reveal(c fakeConfig) []any {
	return []any{c.URL, c.Secret.Reveal(), c.NextSecret.Reveal(), c.AllowHTTP, c.Wait, c.Port, c.Hosts, c.Mode, c.At, c.From, c.Odd.Secret.Reveal()}
}

func TestThawRefusesWhatItCannotRead(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "hunter2hunter2")
	path := folder(t, map[string]string{"developers/acme.yaml": acme})
	snap := load(t, path)
	good := string(snap.Find("acme", "app").Freeze())
	whole := string(snap.Developers["acme"].Freeze())
	for _, c := range []struct{ old, new string }{
		{good, ""}, {good, "{}"}, {good, "null"}, {good, `"hunter2hunter2"`},
		{`"format":1`, `"format":2`},
		{`"kind":"webhook"`, `"kind":"pigeon"`},
		{`"env:FANTAIL`, `"env:OTHER`},
		{`"k":["secret","url"]`, `"k":["secret"]`},
		{`"k":["secret","url"]`, `"k":["secret","ulr"]`},
		{`"l":[{`, `"l":[null,{`},
		{`"t":"!!map"`, `"t":"!!int"`},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s is not in %s", c.old, good)
		}
		if d, err := Thaw([]byte(text), kinds(), snap.Keys); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v", c.new, d, err)
		}
		if d, err := ThawDeveloper([]byte(strings.Replace(whole, c.old, c.new, 1)), kinds(), snap.Keys); c.old != good && err == nil {
			t.Errorf("developer with %s: %v", c.new, d)
		}
	}
}

// References to the same value, wherever they are written, give one hash, and any other value
// gives another. Otherwise pending deliveries would be frozen to settings that did not change.
func TestHashIsOfWhatReferencesStandFor(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3${cret}")
	hash := func(secret, key string) uint64 {
		t.Helper()
		path := folder(t, map[string]string{
			"developers/acme.yaml": "developer: acme\ndestinations:\n  - { name: app, kind: webhook, settings: { url: 'https://a.example', secret: " + secret + " } }\n",
			"secrets/acme/key":     key,
		})
		d := load(t, path).Find("acme", "app")
		thawed, err := Thaw(d.Freeze(), kinds(), ring(t))
		if err != nil {
			t.Fatal(err)
		}
		return thawed.Hash
	}
	written := hash("'s3$${cret}'", "")
	const file = "'${file:secrets/acme/key}'"
	if hash("'${env:FANTAIL_DEV_ACME_SECRET}'", "") != written || hash(file, "s3${cret}\n") != written {
		t.Error("a reference has another hash than what it stands for")
	}
	if hash(file, "s3${cret}.\n") == written || hash(file, "\xff1") == hash(file, "\xfe1") {
		t.Error("two secrets have one hash")
	}
	if hash("2030-01-02T03:04:05Z", "") != hash("'2030-01-02T03:04:05Z'", "") {
		t.Error("quotes make another hash")
	}
}

func ring(t *testing.T) *keyring.Ring {
	t.Helper()
	keys, err := keyring.New([]secret.Value{secret.New("one key of 16 bytes or more")})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestHashIsKeyed(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	snap := load(t, folder(t, map[string]string{"developers/acme.yaml": acme}))
	d := snap.Find("acme", "app")
	other, err := keyring.New([]secret.Value{secret.New("another key of 16 bytes or more")})
	if err != nil {
		t.Fatal(err)
	}
	thawed, err := Thaw(d.Freeze(), kinds(), other)
	if err != nil || thawed.Hash == d.Hash {
		t.Errorf("hash %x under both keys, %v", d.Hash, err)
	}
}
