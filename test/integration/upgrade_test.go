package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/test/servers"
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
			listen := servers.Address(t)
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

// marked is such a store with another number of its format. It is good for nothing but to be refused:
// without the store's own merger its counters are lost.
func marked(t *testing.T, listen string, number uint64) *home {
	t.Helper()
	h := upgraded(t, oldStores(t)["4"], listen, "http://127.0.0.1:1")
	db, err := pebble.Open(filepath.Join(h.dir, "store"), &pebble.Options{Logger: silent{}, FormatMajorVersion: pebble.FormatNewest, Merger: &pebble.Merger{Name: "fantail.counters.1", Merge: pebble.DefaultMerger.Merge}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("f"), binary.AppendUvarint(nil, number), pebble.Sync), db.Close()); err != nil { // its format
		t.Fatal(err)
	}
	return h
}

// TestUpgradingSaysWhatTheProgramDoes: it refuses the formats beside those of the page's table, in the
// page's words. The table's are taken over in the tests of the store, and the oldest kept one above.
func TestUpgradingSaysWhatTheProgramDoes(t *testing.T) {
	page, err := os.ReadFile("../../docs/UPGRADING.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| v\S+ \| (\d+) \| (\d+) to (\d+) \|$`).FindStringSubmatch(string(page))
	if row == nil || row[1] != row[3] {
		t.Fatalf("the page has no row of formats: %q", row)
	}
	oldest, _ := strconv.ParseUint(row[2], 10, 64)
	newest, _ := strconv.ParseUint(row[3], 10, 64)
	for number, want := range map[uint64]string{
		oldest - 1: fmt.Sprintf("nothing migrates format %d: use a program that does, or restore a backup", oldest-1),
		newest + 1: fmt.Sprintf("it has format %d and this program knows formats up to %d: run the newer program that wrote it", newest+1, newest),
	} {
		h := marked(t, servers.Address(t), number)
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say %q", want)
		}
		if code, out := command(t, "serve", "--config", filepath.Join(h.dir, "fantail.yaml")); code != 1 || !strings.Contains(out, want) {
			t.Errorf("format %d: %d\n%s", number, code, out)
		}
	}
}
