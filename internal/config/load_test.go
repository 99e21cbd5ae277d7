package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestDefaults(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	path := folder(t, map[string]string{"developers/acme.yaml": acme})
	snap := load(t, path)
	dir := filepath.Dir(path)
	want := Daemon{
		Brand: "terra", Listen: "127.0.0.1:8080", Developers: Source{Folder: filepath.Join(dir, "developers")},
		Store:     Store{Pebble: Pebble{Dir: filepath.Join(dir, "data/store"), Reserve: 512 << 20}},
		Retention: Retention{Events: 168 * time.Hour, Attempts: 720 * time.Hour, Idempotency: 48 * time.Hour, Changes: 8760 * time.Hour},
		Limits:    Limits{Body: 32 << 20, BodyRate: 1 << 10, InFlight: 1024, InFlightBytes: 256 << 20, Lag: 2 * time.Second, PerDeveloper: PerDeveloper{Destinations: 1000, ShortestWait: time.Second}}, ShutdownGrace: 25 * time.Second, Dir: dir,
		Healthcheck: Healthcheck{Kinds: []string{"webhook", "sqs"}},
		Tracing:     Tracing{Service: "fantail", Sample: 1},
		Catalogue:   event.DefaultCatalogue(),
	}
	if !reflect.DeepEqual(snap.Daemon, want) {
		t.Errorf("daemon:\n got %+v\nwant %+v", snap.Daemon, want)
	}
	d := snap.Find("acme", "app")
	if d == nil || snap.Find("acme", "nope") != nil || snap.Find("nope", "app") != nil {
		t.Fatal("Find finds something else")
	}
	if len(d.Schedule.Waits) != 8 || d.Schedule.Waits[0] != 30*time.Second || d.Schedule.Waits[7] != 18*time.Hour+13*time.Minute+30*time.Second || d.Schedule.Jitter != 0.1 {
		t.Errorf("schedule: %v", d.Schedule)
	}
	if !d.Enabled || d.MaxInFlight != 16 || d.Rate != 0 || d.Timeout != 30*time.Second || !d.Frozen || d.Ambient || d.Events != nil || d.Hash == 0 {
		t.Errorf("destination: %+v", d)
	}
	if got := opened(t, d); got.Secret.Reveal() != "s3cret" || got.Mode != "safe" {
		t.Error("settings are not bound, or lost their defaults")
	}
}

func TestFaultyDeveloperLeavesOthersAlone(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	path := folder(t, map[string]string{
		"developers/acme.yaml":   acme,
		"developers/globex.yaml": "developer: globex\ndestinations: [{ name: a, kind: webhok }]\n",
		"developers/hooli.yml":   "developer: hooli\ndestinations: [\n",
		"developers/initech.yml": "destinations: \"\n",
		"developers/x y.yaml":    "developer: [",
		"developers/.#acme.yaml": "no settings",
		"developers/README.md":   "no settings",
	})
	snap, err := Load(path, kinds())
	var faults Faults
	if snap == nil || !errors.As(err, &faults) || len(faults) != 4 {
		t.Fatalf("snapshot %v, error %v", snap, err)
	}
	if snap.Find("acme", "app") == nil || len(snap.Developers) != 1 {
		t.Errorf("developers: %v", snap.Developers)
	}
	for _, id := range []string{"globex", "hooli", "initech", "x y"} {
		if len(snap.Broken[id]) != 1 {
			t.Errorf("broken %s: %v", id, snap.Broken)
		}
	}
	if faults[0].Line != 2 || filepath.Base(faults[0].File) != "globex.yaml" {
		t.Errorf("fault: %v", faults[0])
	}
}

func TestWhatTheBrandForbidsIsAFaultOfTheFile(t *testing.T) {
	files := map[string]string{"developers/acme.yaml": "developer: acme\ndestinations:\n  - name: app\n    kind: webhook\n    settings:\n" +
		"      secret: s3cret\n      headers:\n        zephyr: x\n"}
	_, err := Load(folder(t, files), kinds())
	if err == nil || strings.Contains(err.Error(), "zephyr") {
		t.Fatalf("under another brand: %v", err)
	}
	path := folder(t, files)
	write(t, filepath.Dir(path), "fantail.yaml", "brand: zephyr\n")
	snap, err := Load(path, kinds())
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 || len(snap.Broken["acme"]) != 2 {
		t.Fatalf("faults: %v", err)
	}
	if f := faults[1]; f.Line != 8 || !strings.Contains(f.Message, "headers.zephyr: is set by the engine") {
		t.Errorf("fault: %v", f)
	}
}

// A file is about the developer it is called after, and about nobody else.
func TestFileSpeaksForTheDeveloperItIsCalledAfter(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	t.Setenv("FANTAIL_DEV_GHOST_SECRET", "s3cret")
	path := folder(t, map[string]string{
		"developers/acme.yaml":    acme,
		"developers/mallory.yaml": strings.ReplaceAll(acme, "https://acme.example", "https://mallory.example"),
		"developers/eve.yml":      strings.NewReplacer("developer: acme", "developer: ghost", "_ACME_", "_GHOST_").Replace(acme),
		"developers/x y.yaml":     "developer: x\n",
		"developers/CAPS.yaml":    "developer: caps\n",
	})
	snap, err := Load(path, kinds())
	if err == nil || len(snap.Developers) != 1 || snap.Find("acme", "app") == nil {
		t.Fatalf("developers %v, %v", snap.Developers, err)
	}
	for id, want := range map[string]string{
		"mallory": "this one, mallory.yaml, names acme: acme.yaml exists already: keep one of them, or write developer: mallory",
		"eve":     "this one, eve.yml, names ghost: rename it to ghost.yml, or write developer: eve",
		"x y":     "this one, x y.yaml, names x: rename it to x.yaml",
		"CAPS":    "this one, CAPS.yaml, names caps: rename it to caps.yaml, or write developer: CAPS",
	} {
		if f := snap.Broken[id]; len(f) != 1 || f[0].Line != 1 || !strings.HasSuffix(f[0].Message, want) {
			t.Errorf("%s: %v, want %s", id, f, want)
		}
	}
	if c := snap.Claimed; len(c) != 3 || c["eve"] != "ghost" || c["x y"] != "x" || c["CAPS"] != "caps" {
		t.Errorf("claimed: %v", c)
	}
}

// An installation of an older version is told at once of everything that it has to rename.
func TestMisnamedFileTellsItsVariablesToo(t *testing.T) {
	_, err := Load(folder(t, map[string]string{
		"developers/eu.yaml": strings.NewReplacer("developer: acme", "developer: acme-eu", "_ACME_", "_ACME_EU_").Replace(acme),
	}), kinds())
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "rename it to acme-eu.yaml") || !strings.Contains(err.Error(), "call it FANTAIL_DEV_ACME__EU_SECRET") {
		t.Errorf("faults: %v", err)
	}
}

func TestDevelopersAreKnownByOneFileOnly(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	for name, other := range map[string]string{"another ending": "developers/acme.yml", "another case": "developers/Acme.yaml"} {
		text := strings.Replace(acme, "developer: acme", "developer: "+stem(filepath.Base(other)), 1)
		snap, err := Load(folder(t, map[string]string{"developers/acme.yaml": acme, other: text, "developers/globex.yaml": "developer: globex\n"}), kinds())
		if err == nil || len(snap.Developers) != 1 || snap.Developers["globex"] == nil || !strings.Contains(err.Error(), "keep one file") || strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("%s: developers %v, %v", name, snap.Developers, err)
		}
	}
}

func TestLoadingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopped")
	cancel(why)
	snap, err := NewLoader(folder(t, map[string]string{"developers/acme.yaml": "developer: acme\n"}), kinds()).Load(ctx)
	if snap != nil || !errors.Is(err, why) {
		t.Errorf("%v, %v", snap, err)
	}
}

func TestIdentityTellsWhenNothingChanged(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	path := folder(t, map[string]string{"developers/acme.yaml": acme})
	dir := filepath.Dir(path)
	seen := map[uint64]string{load(t, path).Identity: "first"}
	if len(seen) != 1 || seen[load(t, path).Identity] == "" {
		t.Fatal("the same text has two identities")
	}
	for _, change := range []struct {
		what string
		do   func()
	}{
		{"a comment", func() { write(t, dir, "developers/acme.yaml", acme+"# x\n") }},
		{"a file more", func() { write(t, dir, "developers/b.yaml", "developer: b\n") }},
		{"a secret", func() { t.Setenv("FANTAIL_DEV_ACME_SECRET", "other") }},
		{"the daemon's file", func() { write(t, dir, "fantail.yaml", "brand: x\n") }},
		{"a file renamed", func() {
			if err := os.Rename(filepath.Join(dir, "developers/b.yaml"), filepath.Join(dir, "developers/b.yml")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		change.do()
		id := load(t, path).Identity
		if seen[id] != "" {
			t.Errorf("%s changes nothing: same as %s", change.what, seen[id])
		}
		seen[id] = change.what
	}
}

func TestHashFollowsWhatIsFrozen(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	path := folder(t, map[string]string{"developers/acme.yaml": acme})
	dir := filepath.Dir(path)
	first := load(t, path).Find("acme", "app").Hash
	for what, c := range map[string]struct {
		text string
		same bool
	}{
		"order, comments, style":  {"# c\n\ndestinations:\n  - settings: # c\n      secret: ${env:FANTAIL_DEV_ACME_SECRET}\n      url: 'https://acme.example/hooks'\n    kind: webhook\n    name: app\ndeveloper: acme\n", true},
		"events, enabled, limits": {acme + "    events: [sleep]\n    enabled: false\n    max_in_flight: 2\n    rate_limit: 1/s\n", true},
		"defaults written out":    {acme + "    timeout: 30s\n    retry: { initial: 30s, factor: 3, retries: 8, jitter: 0.1, settings: frozen }\n", true},
		"another destination":     {acme + "  - { name: b, kind: webhook, settings: { url: 'https://b.example', secret: x } }\n", true},
		"an alias": {"developer: acme\ndestinations:\n  - &a { name: x, kind: webhook, settings: &s { url: 'https://acme.example/hooks', secret: '${env:FANTAIL_DEV_ACME_SECRET}' } }\n" +
			"  - { name: app, kind: webhook, settings: *s }\n", true},
		"url":      {strings.Replace(acme, "hooks", "hook", 1), false},
		"timeout":  {acme + "    timeout: 31s\n", false},
		"schedule": {acme + "    retry: { retries: 7 }\n", false},
		"jitter":   {acme + "    retry: { jitter: 0.2 }\n", false},
		"kind":     {strings.Replace(acme, "webhook", "sqs", 1), false},
		"literal":  {strings.Replace(acme, "${env:FANTAIL_DEV_ACME_SECRET}", "s3cret2", 1), false},
	} {
		write(t, dir, "developers/acme.yaml", c.text)
		if got := load(t, path).Find("acme", "app").Hash; (got == first) != c.same {
			t.Errorf("%s: hash stays %v, want %v", what, got == first, c.same)
		}
	}
	write(t, dir, "developers/acme.yaml", acme)
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "other")
	if load(t, path).Find("acme", "app").Hash == first {
		t.Error("another secret has the same hash")
	}
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	write(t, dir, "fantail.yaml", "ambient: [acme/app]\n")
	if d := load(t, path).Find("acme", "app"); d.Hash == first || !d.Ambient {
		t.Error("the operator's credentials do not change the hash")
	}
}
