package integration

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// oldStores are stores that programs of older formats wrote, by their format.
func oldStores(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../../internal/store/pebblestore/testdata/store-of-format-*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no old stores: %v", err)
	}
	found := map[string]string{}
	for _, path := range paths {
		found[strings.TrimPrefix(filepath.Base(path), "store-of-format-")] = path
	}
	return found
}

// upgraded is a home with such a store, and settings for the destinations that it knows. Its key is not
// the one that the store's settings were sealed with, which nobody has any more.
func upgraded(t *testing.T, store, listen, url string) *home {
	t.Helper()
	h := newHome(t)
	h.write("fantail.yaml", "listen: "+listen+"\nstore: { pebble: { dir: store } }\negress: { allow: [127.0.0.0/8] }\nretention: { events: 87600h, attempts: 87600h }\nshutdown_grace: 2s\n")
	h.write("fantail.key", "0123456789abcdef0123456789abcdef")
	text := "developer: acme\ndestinations:\n"
	for _, name := range []string{"a", "b", "c"} {
		text += fmt.Sprintf("  - { name: %s, kind: webhook, settings: { url: %q, secret: a-secret-of-acme, allow_http: true } }\n", name, url+"/"+name)
	}
	h.write("developers/acme.yaml", text)
	if err := os.CopyFS(filepath.Join(h.dir, "store"), os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestTheProgramTakesOverOldStores: of every format since the oldest that is kept. What was pending goes
// out, the recount adds up before and after, and the old store is kept to go back to (docs/UPGRADING.md).
func TestTheProgramTakesOverOldStores(t *testing.T) {
	for format, store := range oldStores(t) {
		t.Run("format "+format, func(t *testing.T) {
			r := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
			listen := freeAddress(t)
			h := upgraded(t, store, listen, r.URL)
			ask := func(want string, args ...string) string {
				t.Helper()
				code, out := command(t, append(args, "--server", "http://"+listen)...)
				if code != 0 || !strings.Contains(out, want) {
					t.Fatalf("fantail %v: %d, want %q\n%s", args, code, want, out)
				}
				return out
			}
			pending := func() int {
				t.Helper()
				return strings.Count(ask("", "deliveries", "--state", "pending", "--json"), "\n")
			}
			// life is one of the daemon: it takes the store over, and delivers all that is pending.
			life := func() {
				t.Helper()
				p := h.serve(listen)
				ask("balanced", "audit", "--deep")
				if pending() > 0 { // one under settings that nobody can read any more: the page says what to do
					until(t, "all goes out but what is sealed under a lost key", func() bool { return pending() == 1 })
					ask("", "rebind", "acme/b", "--yes")
				}
				until(t, "nothing is pending", func() bool { return pending() == 0 })
				ask("balanced", "audit", "--deep")
				if err := p.stop(); err != nil {
					t.Fatal(err)
				}
			}
			life()
			if got := len(r.all()); got != 12 {
				t.Errorf("%d deliveries went out, the store had 12", got)
			}
			life() // it is not migrated again
			if got := len(r.all()); got != 12 {
				t.Errorf("after a restart %d deliveries had gone out", got)
			}

			// The way back: the old store lies beside the new one, and is whole.
			at := filepath.Join(h.dir, "store")
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(at+".format-"+format, at); err != nil {
				t.Fatalf("the old store was not kept: %v", err)
			}
			life()
			if got := len(r.all()); got != 24 {
				t.Errorf("from the kept store %d deliveries went out, want 12 again", got-12)
			}
		})
	}
}

// silent is a logger of Pebble that says nothing.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// TestTheProgramRefusesStoresThatItCannotRead, and says what to do.
func TestTheProgramRefusesStoresThatItCannotRead(t *testing.T) {
	for number, want := range map[uint64]string{
		0:  "nothing migrates format 0: use a program that does, or restore a backup",
		99: "it has format 99 and this program knows formats up to 5: run the newer program that wrote it",
	} {
		h := upgraded(t, oldStores(t)["4"], freeAddress(t), "http://127.0.0.1:1")
		at := filepath.Join(h.dir, "store")
		db, err := pebble.Open(at, &pebble.Options{Logger: silent{}, FormatMajorVersion: pebble.FormatNewest, Merger: &pebble.Merger{Name: "fantail.counters.1", Merge: pebble.DefaultMerger.Merge}})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Set([]byte("f"), binary.AppendUvarint(nil, number), pebble.Sync); err != nil { // its format
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if code, out := command(t, "serve", "--config", filepath.Join(h.dir, "fantail.yaml")); code != 1 || !strings.Contains(out, want) {
			t.Errorf("format %d: %d\n%s", number, code, out)
		}
	}
}
