package payload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func keys(t testing.TB, texts ...string) *keyring.Ring {
	t.Helper()
	var values []secret.Value
	for _, text := range texts {
		values = append(values, secret.New(text))
	}
	r, err := keyring.New(values)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	oldKey = "correct horse battery staple"
	newKey = "tomorrow's key, tomorrow's key"
)

func openDir(t testing.TB, path string) *Dir {
	t.Helper()
	d, err := OpenDir(DirOptions{Path: path, PublicURL: "https://events.example", Keys: keys(t, oldKey)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// some returns a payload of an event accepted at t.
func some(at time.Time, index int, body string) event.Payload {
	id := event.PayloadID{Event: event.NewID(at, 0, uint64(len(body))), Index: index}
	return event.Payload{ID: id.String(), Body: []byte(body)}
}

func put(t testing.TB, d *Dir, developer string, p event.Payload) {
	t.Helper()
	if err := d.Put(t.Context(), developer, p); err != nil {
		t.Fatal(err)
	}
}

func pathOf(t testing.TB, d *Dir, developer string, p event.Payload) string {
	t.Helper()
	k, err := event.PayloadKeyOf(developer, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(d.path, k.String())
}

// files lists every file below dir.
func files(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPutWritesOneFileThatOthersCannotRead(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "a", "payloads"))
	p := some(time.Now(), -1, `{"type":"x"}`)
	put(t, d, "acme", p)
	path := pathOf(t, d, "acme", p)
	body, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(body, p.Body) {
		t.Fatalf("%q, %v", body, err)
	}
	for at, mode := path, fs.FileMode(0o600); at != filepath.Dir(d.path); at, mode = filepath.Dir(at), 0o700 {
		if info, err := os.Stat(at); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has the mode %v, %v; want %v", at, info.Mode(), err, mode)
		}
	}
	if all := files(t, d.path); len(all) != 1 {
		t.Errorf("files %v", all)
	}
}

// A file that exists is never written again: consumers hold links to it.
func TestPutLeavesWhatIsThere(t *testing.T) {
	d := openDir(t, t.TempDir())
	p := some(time.Now(), 0, "first")
	put(t, d, "acme", p)
	before, err := os.Stat(pathOf(t, d, "acme", p))
	if err != nil {
		t.Fatal(err)
	}
	p.Body = []byte("second")
	put(t, d, "acme", p)
	after, err := os.Stat(pathOf(t, d, "acme", p))
	if err != nil || !os.SameFile(before, after) || after.Size() != 5 {
		t.Errorf("the file was written again: %v, %v", after, err)
	}
	put(t, d, "globex", p) // is another one
	if all := files(t, d.path); len(all) != 2 {
		t.Errorf("files %v", all)
	}
}

func TestConcurrentPutsOfOnePayloadAllSucceed(t *testing.T) {
	d := openDir(t, t.TempDir())
	p := some(time.Now(), -1, strings.Repeat("x", 100_000))
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			q := p
			if i%2 == 1 {
				q = some(time.Now(), i, "another")
			}
			if err := d.Put(t.Context(), "acme", q); err != nil {
				t.Error(err)
			}
			if ok, err := d.Has(t.Context(), "acme", q.ID); !ok || err != nil {
				t.Errorf("%s is not there: %v", q.ID, err)
			}
		})
	}
	all.Wait()
	if body, err := os.ReadFile(pathOf(t, d, "acme", p)); err != nil || !bytes.Equal(body, p.Body) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if found := files(t, filepath.Join(d.path, temporary)); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestPutFailsWholeAndLeavesNothing(t *testing.T) {
	now := time.Now()
	p := some(now, -1, "body")
	for name, c := range map[string]struct {
		spoil func(t *testing.T, d *Dir)
		want  error
	}{
		"a file in the place of the day": {func(t *testing.T, d *Dir) {
			touch(t, filepath.Join(d.path, now.UTC().Format(time.DateOnly)))
		}, syscall.ENOTDIR},
		"the folder is gone": {func(t *testing.T, d *Dir) {
			if err := os.RemoveAll(d.path); err != nil {
				t.Fatal(err)
			}
		}, fs.ErrNotExist},
		"the disk is full": {func(_ *testing.T, d *Dir) { d.reserve = 1 << 62 }, syscall.ENOSPC},
	} {
		t.Run(name, func(t *testing.T) {
			d := openDir(t, filepath.Join(t.TempDir(), "payloads"))
			c.spoil(t, d)
			if err := d.Put(t.Context(), "acme", p); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err := d.Check(t.Context()); c.want != syscall.ENOTDIR && !errors.Is(err, c.want) {
				t.Errorf("the check says %v, want %v", err, c.want)
			}
			if found := files(t, filepath.Dir(d.path)); len(found) > 1 {
				t.Errorf("left behind: %v", found)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := openDir(t, t.TempDir()).Put(ctx, "acme", p); !errors.Is(err, context.Canceled) {
		t.Errorf("put for nobody: %v", err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A payload that cannot be written whole is not there at all.
func TestPutThatFailsHalfwayIsNotThere(t *testing.T) {
	d := openDir(t, t.TempDir())
	p := some(time.Now(), -1, "body")
	k, err := event.PayloadKeyOf("acme", p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.write(k, p.Body); err == nil { // its folder is missing: the rename fails
		t.Fatal("written without a folder")
	}
	if found := files(t, d.path); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestOpenRemovesWhatACrashLeftHalfWritten(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path)
	p := some(time.Now(), -1, "body")
	put(t, d, "acme", p)
	touch(t, filepath.Join(path, temporary, "half"))
	openDir(t, path)
	if all := files(t, path); len(all) != 1 || all[0] != pathOf(t, d, "acme", p) {
		t.Errorf("files %v", all)
	}
}

func TestCheckLeavesNothing(t *testing.T) {
	d := openDir(t, t.TempDir())
	if err := d.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := files(t, d.path); len(all) > 0 {
		t.Errorf("left behind: %v", all)
	}
}

func TestRetainRemovesWholeDaysInSteps(t *testing.T) {
	d := openDir(t, t.TempDir())
	const keep = 10 * 24 * time.Hour
	day := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for i := range removeRun + 5 {
		k, err := event.PayloadKeyOf("acme", some(day.Add(time.Hour), i, "x").ID)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			put(t, d, "acme", some(day.Add(time.Hour), 0, "x"))
			continue
		}
		touch(t, filepath.Join(d.path, k.String()))
	}
	put(t, d, "globex", some(day, 1, "x"))
	young := some(day.Add(24*time.Hour), 1, "x")
	put(t, d, "acme", young)
	touch(t, filepath.Join(d.path, "README"))
	if err := os.Symlink(filepath.Join(d.path, "README"), filepath.Join(d.path, "2026-07-01", "link")); err != nil {
		t.Fatal(err)
	}

	if n, err := d.Retain(t.Context(), day.Add(24*time.Hour+keep-time.Nanosecond), keep); n != 0 || err != nil {
		t.Errorf("too early: %d files removed, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Retain(ctx, day.Add(24*time.Hour+keep), keep); !errors.Is(err, context.Canceled) {
		t.Errorf("at shutdown: %v", err)
	}
	n, err := d.Retain(t.Context(), day.Add(24*time.Hour+keep), keep)
	if want := removeRun + 6; n != want || err != nil {
		t.Errorf("%d files removed, %v; want %d", n, err, want)
	}
	if all := files(t, d.path); fmt.Sprint(all) != fmt.Sprint([]string{pathOf(t, d, "acme", young), filepath.Join(d.path, "README")}) {
		t.Errorf("files %v", all)
	}
	// A replay may put a payload of that day again.
	put(t, d, "acme", some(day, 1, "x"))
}

func BenchmarkDirPut(b *testing.B) {
	d := openDir(b, b.TempDir())
	body := strings.Repeat("x", 2<<10)
	b.SetParallelism(8)
	var n int
	var mu sync.Mutex
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			p := some(time.Now(), n, body)
			mu.Unlock()
			if err := d.Put(b.Context(), "acme", p); err != nil {
				b.Error(err)
			}
		}
	})
}
