package pebblestore

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// logged collects what a store logs at warning or above.
func logged(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func readAll(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeAll(t *testing.T, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Clone(b)); err != nil { // MemFS changes what it was given, with -race
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// crashed returns the disk of a store that was killed after n acknowledged
// events, and the name of its last log.
func crashed(t *testing.T, n int) (vfs.FS, string, []store.Appended) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	s := mustOpen(t, "db", Options{FS: disk})
	var out []store.Appended
	for i := range n { // of bodies that do not shrink
		body := fmt.Appendf(noise(rand.New(rand.NewPCG(7, uint64(i))), 2000), "xxxx%d", i)
		out = append(out, mustAppend(t, s, day0, entry("acme", "u", string(body), 1, 2))...)
	}
	left := disk.CrashClone(vfs.CrashCloneCfg{})
	ls, err := s.logs()
	if err != nil || len(ls) == 0 {
		t.Fatalf("logs %v %v", ls, err)
	}
	return left, "db/" + ls[len(ls)-1].name, out
}

// TestTornTail: a log that ends in the middle of a record is one warning, and
// everything whole before it is there.
func TestTornTail(t *testing.T) {
	disk, name, out := crashed(t, 40)
	b := readAll(t, disk, name)
	b = bytes.TrimRight(b, "\x00") // what was preallocated
	writeAll(t, disk, name, b[:len(b)-700])
	var log bytes.Buffer
	s := mustOpen(t, "db", Options{FS: disk, Log: logged(&log)})
	if n := strings.Count(log.String(), "level="); n != 1 || !strings.Contains(log.String(), "no clean end") {
		t.Errorf("want one warning, got:\n%s", log.String())
	}
	for _, a := range out[:39] {
		if _, err := s.Event(ctx, a.ID.Day(), a.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.EventRecord(ctx, out[39].ID); err == nil {
		t.Error("the torn record was read")
	}
	mustBalance(t, s)
	s.Close()
	log.Reset()
	mustOpen(t, "db", Options{FS: disk, Log: logged(&log)})
	if log.Len() > 0 {
		t.Errorf("after a clean close:\n%s", log.String())
	}
}

// TestCorruption: damage in the middle of what was acknowledged refuses the
// start and names the command; accepted, everything before it is there, the log
// is kept aside and the range is reported.
func TestCorruption(t *testing.T) {
	disk, name, out := crashed(t, 200)
	whole := readAll(t, disk, name)
	bad := bytes.Clone(whole)
	at := len(bytes.TrimRight(whole, "\x00")) / 2
	for i := range 64 {
		bad[at+i] ^= 0x55
	}
	writeAll(t, disk, name, bad)
	for range 2 { // refusing changes nothing
		_, err := Open("db", Options{FS: disk, Log: quiet()})
		if err == nil || !strings.Contains(err.Error(), "`fantail serve --accept-loss`") {
			t.Fatalf("open a damaged store: %v", err)
		}
	}
	var log bytes.Buffer
	s := mustOpen(t, "db", Options{FS: disk, Log: logged(&log), AcceptLoss: true})
	for _, want := range []string{"level=ERROR", "from=2026-03-10", "to=", "kept=db/damaged-"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, log.String())
		}
	}
	kept := 0
	for i, a := range out {
		_, err := s.Event(ctx, a.ID.Day(), a.ID)
		if err == nil {
			if kept != i {
				t.Fatalf("event %d is there behind a gap", i)
			}
			kept++
		}
	}
	// Half of the last log, with a body of 2,000 bytes and some rows in each record.
	if lost := len(out) - kept; lost < at/2700 || lost > at/2000+1 {
		t.Errorf("%d of %d events were lost, the damage was at byte %d of the last log's %d", lost, len(out), at, 2*at)
	}
	mustBalance(t, s)
	aside, err := disk.List("db/damaged-" + strings.TrimSuffix(disk.PathBase(name), ".log"))
	if err != nil || !slices.Contains(aside, disk.PathBase(name)) {
		t.Fatalf("set aside: %v %v", aside, err)
	}
	if got := readAll(t, disk, "db/damaged-"+strings.TrimSuffix(disk.PathBase(name), ".log")+"/"+disk.PathBase(name)); !bytes.Equal(got, bad) {
		t.Error("the log set aside is not the damaged one")
	}
	next := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))
	s.Close()
	s = mustOpen(t, "db", Options{FS: disk})
	if _, err := s.Event(ctx, next[0].ID.Day(), next[0].ID); err != nil {
		t.Errorf("after the loss was accepted: %v", err)
	}
}

func TestDamagedTableAsksForABackup(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	mustAppend(t, s, day0, entry("acme", "u", "{}", 1))
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	names, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			b[i] ^= 0x55
		}
		if err := os.WriteFile(n, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, accept := range []bool{false, true} {
		if _, err := Open(dir, Options{Log: quiet(), AcceptLoss: accept}); err == nil {
			t.Errorf("accept loss %v: a store without its manifest opened", accept)
		}
	}
}

func TestLockIsClear(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, Options{})
	_, err := Open(dir, Options{Log: quiet()})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), dir) {
		t.Errorf("second open: %v", err)
	}
}

func TestFormatNumber(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "db", Options{FS: fs})
	a := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0]
	s.Close()
	now := theFormat.number
	open2 := func(f format) (*Store, error) { return open("db", Options{FS: fs, Log: quiet()}, f) }

	if _, err := open2(format{number: now + 1}); err == nil || !strings.Contains(err.Error(), fmt.Sprint("nothing migrates format ", now)) {
		t.Errorf("no step: %v", err)
	}
	ran := 0
	step := func(s *Store) error {
		ran++
		return s.write(func(w *writer) { w.k, w.v = []byte("zz"), []byte("migrated"); w.set() })
	}
	failing := format{number: now + 1, steps: map[uint64]func(*Store) error{now: func(*Store) error { return errDisk }}}
	if _, err := open2(failing); err == nil || !strings.Contains(err.Error(), fmt.Sprint("migrate format ", now)) {
		t.Errorf("failing step: %v", err)
	}
	s, err := open2(format{number: now + 1, steps: map[uint64]func(*Store) error{now: step}})
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := s.get([]byte("zz")); string(v) != "migrated" || ran != 1 {
		t.Errorf("migrated %q, %d steps", v, ran)
	}
	s.Close()
	_, err = Open("db", Options{FS: fs, Log: quiet()})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("it has format %d and this program knows formats up to %d", now+1, now)) {
		t.Errorf("a newer format: %v", err)
	}
	old := mustOpen(t, fmt.Sprint("db.format-", now), Options{FS: fs})
	if _, err := old.Event(ctx, a.ID.Day(), a.ID); err != nil {
		t.Errorf("the checkpoint made before the migration: %v", err)
	}
	if v, _ := old.get([]byte("zz")); v != nil {
		t.Error("the checkpoint is from after the migration")
	}
}

func TestReadOnly(t *testing.T) {
	disk, _, out := crashed(t, 5)
	s := mustOpen(t, "db", Options{FS: disk, ReadOnly: true})
	if _, err := s.Event(ctx, out[4].ID.Day(), out[4].ID); err != nil {
		t.Error(err)
	}
	mustBalance(t, s)
	if _, err := s.Append(ctx, day0, []*store.Entry{entry("acme", "u", "{}", 1)}); !unavailable(err) {
		t.Errorf("append: %v", err)
	}
	if err := s.Put(ctx, "k", nil); err == nil {
		t.Error("put to a store open for reading")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
