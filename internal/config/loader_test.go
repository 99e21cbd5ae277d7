package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// counted has every kind count what it binds.
func counted(n *atomic.Int64) destination.Registry {
	defaults := func() fakeConfig { n.Add(1); return fakeConfig{Mode: "safe"} }
	var defs []destination.Definition
	for _, d := range kinds() {
		defs = append(defs, destination.Define(d.Kind, d.Traits, defaults, openFake))
	}
	return destination.NewRegistry(defs...)
}

// said is the whole result of a reading, in a form that can be compared.
func said(snap *Snapshot, err error) string {
	if snap == nil {
		return fmt.Sprint("no settings: ", err)
	}
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(snap.Developers)) {
		fmt.Fprintf(&b, "%s %s", id, snap.Developers[id].Freeze())
		for _, d := range snap.Developers[id].Destinations {
			fmt.Fprint(&b, " ", d.Hash)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintln(&b, snap.Broken, snap.Claimed, snap.Notes, snap.Identity, err)
	return b.String()
}

// A second reading finds what a first one would find, whatever changed in between. It binds only
// what has changed.
func TestWhatIsKeptIsWhatAFirstReadingFinds(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "a secret of acme's own")
	bound := func(id, settings string) string {
		return "developer: " + id + "\ndestinations:\n  - { name: app, kind: webhook, settings: { url: 'https://" + id + ".example/hooks', secret: 'a secret of sixteen' }" + settings + " }\n"
	}
	globex := strings.Replace(bound("globex", ""), "'a secret of sixteen'", "'${file:secrets/globex/key}'", 1)
	path := folder(t, map[string]string{
		"developers/acme.yaml": acme, "developers/globex.yaml": globex, "secrets/globex/key": "a secret of globex's",
		"developers/initech.yaml": bound("initech", ", events: [sleep, mine], retry: { waits: [5s, 10h] }"), "developers/umbrella.yaml": strings.Replace(bound("umbrella", ""), "webhook", "links", 1),
		"fantail.yaml": "payloads: { dir: { path: p, public_url: 'https://initech.example' } }\n",
	})
	dir := filepath.Dir(path)
	var n atomic.Int64
	l := NewLoader(path, counted(&n))
	const payloads = "payloads: { dir: { path: p, public_url: 'https://payloads.example' } }\n"
	daemon := func(more string) func() { return func() { write(t, dir, "fantail.yaml", payloads+more) } }
	type step struct {
		what  string
		do    func()
		binds int64
	}
	steps := []step{
		{"the first reading", func() {}, 4},
		{"nothing", func() {}, 0},
		{"a comment", func() { write(t, dir, "developers/acme.yaml", acme+"# x\n") }, 1},
		{"a text of the same size and time", func() {
			file := filepath.Join(dir, "developers/globex.yaml")
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "developers/globex.yaml", strings.Replace(globex, "hooks", "books", 1))
			if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"a variable", func() { t.Setenv("FANTAIL_DEV_ACME_SECRET", "another secret of acme's") }, 1},
		{"a secret's file", func() { write(t, dir, "secrets/globex/key", "another secret of globex's") }, 1},
		{"who may read a secret's file", func() {
			if err := os.Chmod(filepath.Join(dir, "secrets/globex/key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"a secret that is gone", func() {
			if err := os.Remove(filepath.Join(dir, "secrets/globex/key")); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"faults are judged each time", func() {}, 1},
		{"a secret that is back", func() { write(t, dir, "secrets/globex/key", "another secret of globex's") }, 1},
		{"the address that payloads are linked to", daemon(""), 4},
		{"settings that concern no developer's text", daemon("limits: { body: 1MiB, per_developer: { rate: 7/s } }\nnotices: { destinations: [acme/app] }\ntokens: [{ name: all, value: sixteen-characters, may: [ingest] }]\n"), 0},
		{"ambient credentials of one", daemon("ambient: [acme/app]\n"), 1},
		{"ambient credentials of another", daemon("ambient: [globex/app]\n"), 2},
		{"none", daemon(""), 1},
		{"a fault of fantail.yaml", daemon("listen: nowhere\n"), 4},
		{"its end", daemon(""), 0},
		{"a new key in front, which makes no fingerprints", func() {
			write(t, dir, "new.key", "fedcba9876543210fedcba9876543210")
			daemon("keys: ['${file:new.key}', '${file:fantail.key}']\n")()
		}, 0},
		{"the old key gone", daemon("keys: ['${file:new.key}']\n"), 4},
		{"another file of a developer", func() { write(t, dir, "developers/initech.yml", "developer: initech\n") }, 1},
		{"its end", func() {
			if err := os.Remove(filepath.Join(dir, "developers/initech.yml")); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"a developer written alike in variables", func() { write(t, dir, "developers/ac.me.yaml", bound("ac.me", "")) }, 1},
		{"a variable that could be theirs", func() {
			t.Setenv("FANTAIL_DEV_AC__ME_SECRET", "whose is it?")
			write(t, dir, "developers/ac.me.yaml", strings.Replace(bound("ac.me", ""), "'a secret of sixteen'", "'${env:FANTAIL_DEV_AC__ME_SECRET}'", 1))
		}, 1},
		{"the namesake of a developer who uses variables", func() { write(t, dir, "developers/ac-me.yaml", bound("ac-me", "")) }, 2},
		{"a developer's end", func() {
			if err := os.Remove(filepath.Join(dir, "developers/acme.yaml")); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"a developer's return", func() { write(t, dir, "developers/acme.yaml", acme) }, 2},
		{"only those who can be", func() {
			for _, name := range []string{"ac.me", "ac-me"} {
				if err := os.Remove(filepath.Join(dir, "developers", name+".yaml")); err != nil {
					t.Fatal(err)
				}
			}
		}, 0},
	}
	for _, more := range []string{
		"brand: acme\n", "limits: { per_developer: { shortest_wait: 10s } }\n", "limits: { in_flight: 7 }\n", "limits: { per_developer: { destinations: 5 } }\n", "retention: { events: 24h }\n",
		"idempotency: 9h\n", "types: { mine: { data: data } }\n", "egress: { allow: [192.0.2.0/24] }\n", "egress: { deny: [192.0.2.0/24] }\n", "listen: 127.0.0.1:443\n",
	} {
		steps = append(steps, step{strings.TrimSpace(more), daemon(more), 4}, step{"without " + strings.TrimSpace(more), daemon(""), 4})
	}
	steps = append(steps,
		step{"payloads in a bucket", func() {
			write(t, dir, "fantail.yaml", "payloads: { s3: { bucket: payloads, region: eu-west-1, access_key_id: key, secret_access_key: a-secret-of-sixteen } }\n")
		}, 4},
		step{"no payloads", func() { write(t, dir, "fantail.yaml", "") }, 4},
	)
	for _, step := range steps {
		step.do()
		before := n.Load()
		got := said(l.Load(t.Context()))
		if binds := n.Load() - before; binds != step.binds {
			t.Errorf("%s: %d destinations bound, want %d", step.what, binds, step.binds)
		}
		if want := said(Load(path, kinds())); got != want {
			t.Errorf("%s: kept\n%s\nnot\n%s", step.what, got, want)
		}
	}
}

// A text that stays keeps its Developer, by its pointer.
func TestUnchangedDevelopersAreTheSame(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	path := folder(t, map[string]string{"developers/acme.yaml": acme, "developers/globex.yaml": "developer: globex\n"})
	l := NewLoader(path, kinds())
	first, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(path), "developers/globex.yaml", "developer: globex # x\n")
	second, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.Developers["acme"] != second.Developers["acme"] || first.Developers["globex"] == second.Developers["globex"] {
		t.Error("who is the same and who is not")
	}
}

// BenchmarkReload reads 1,000 developers of whom one changed.
func BenchmarkReload(b *testing.B) {
	files := map[string]string{}
	for i := range 1000 {
		id := fmt.Sprintf("d%d", i)
		files["developers/"+id+".yaml"] = strings.Replace(many(3, ""), "developer: acme", "developer: "+id, 1)
	}
	path := folder(b, files)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if _, err := Load(path, kinds()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one changed", func(b *testing.B) {
		l := NewLoader(path, kinds())
		if _, err := l.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
		text := files["developers/d500.yaml"]
		for n := 0; b.Loop(); n++ {
			write(b, filepath.Dir(path), "developers/d500.yaml", fmt.Sprint(text, "# ", n))
			if _, err := l.Load(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
