package config

import (
	"strings"
	"testing"
	"time"
)

// A daemon that shares its store has a name, and goes on for a while after it has said that
// it stops.
func TestWhatASharedStoreDefaultsTo(t *testing.T) {
	text := "store: { postgres: { urls: ['postgres://u:p@db/x'], advertise: 'http://10.0.0.5:8080/' } }\n"
	path := folder(t, map[string]string{"fantail.yaml": text, "developers/acme.yaml": acme, "fantail.key": strings.Repeat("k", 32)})
	d, err := LoadDaemon(path)
	if err != nil {
		t.Fatal(err)
	}
	if p := d.Store.Postgres; p.Name == "" || p.Advertise != "http://10.0.0.5:8080" || d.ShutdownDelay != 5*time.Second {
		t.Errorf("%+v, delay %v", p, d.ShutdownDelay)
	}
	write(t, d.Dir, "fantail.yaml", strings.Replace(text, "advertise:", "name: a-1, advertise:", 1)+"shutdown_delay: 0s\n")
	if d, err = LoadDaemon(path); err != nil || d.Store.Postgres.Name != "a-1" || d.ShutdownDelay != 0 {
		t.Errorf("%+v, %v, delay %v", d.Store.Postgres, err, d.ShutdownDelay)
	}
	write(t, d.Dir, "fantail.yaml", strings.Replace(text, "'http://10.0.0.5:8080/'", "'http://{name}.fantail:8080', name: a-1", 1))
	if d, err = LoadDaemon(path); err != nil || d.Store.Postgres.Advertise != "http://a-1.fantail:8080" {
		t.Errorf("%+v, %v", d.Store.Postgres, err)
	}
	write(t, d.Dir, "fantail.yaml", "")
	if d, err = LoadDaemon(path); err != nil || d.ShutdownDelay != 0 {
		t.Errorf("with the embedded store: %v, delay %v", err, d.ShutdownDelay)
	}
}

// TestFurtherPrimaries: each has a name of its own and URLs.
func TestFurtherPrimaries(t *testing.T) {
	load := func(more string) (*Daemon, error) {
		text := "store: { postgres: { urls: ['postgres://u:p@db/x'], more: " + more + " } }\n"
		return LoadDaemon(folder(t, map[string]string{"fantail.yaml": text, "developers/acme.yaml": acme, "fantail.key": strings.Repeat("k", 32)}))
	}
	d, err := load("[{ name: b, urls: ['postgres://u:p@b1/x', 'postgres://u:p@b2/x'] }, { name: c, urls: ['postgres://u:p@c/x'] }]")
	if err != nil {
		t.Fatal(err)
	}
	if more := d.Store.Postgres.More; len(more) != 2 || more[0].Name != "b" || len(more[0].URLs) != 2 || more[1].URLs[0].Reveal() != "postgres://u:p@c/x" {
		t.Errorf("%+v", more)
	}
	for more, says := range map[string]string{
		"[{ urls: ['postgres://u:p@b/x'] }]":              "store.postgres.more[0].name",
		"[{ name: 'a b', urls: ['postgres://u:p@b/x'] }]": "store.postgres.more[0].name",
		"[{ name: b }]": "store.postgres.more[0].urls",
		"[{ name: b, urls: ['mysql://u:p@b/x'] }]":                                         "store.postgres.more[0].urls[0]",
		"[{ name: b, urls: ['postgres://u:p@b/x'] }, { name: b, urls: ['postgres://c'] }]": "another primary",
	} {
		if _, err := load(more); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", more, err, says)
		}
	}
}
