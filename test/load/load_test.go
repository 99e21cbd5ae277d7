package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail"
	"github.com/seed-51f8da91/fantail/destinations/all"
)

// TestMain lets the test's own binary be the daemon, the sink and the loader:
// each is a process of its own, as in a measurement.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		if len(os.Args) < 2 || !slices.Contains([]string{"serve", "store", "sink", "loader"}, os.Args[1]) {
			return m.Run()
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if os.Args[1] == "serve" || os.Args[1] == "store" {
			return fantail.Main(ctx, os.Args[1:], all.Destinations())
		}
		if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
			io.WriteString(os.Stderr, err.Error())
			return 1
		}
		return 0
	}())
}

// small is o in a size for every day.
func small(t *testing.T, o options) options {
	o.Binary, o.Dir = os.Args[0], t.TempDir()
	if err := os.Chmod(filepath.Dir(o.Dir), 0o711); err != nil { // a database runs as nobody
		t.Fatal(err)
	}
	o.Warm, o.For, o.Runs = 300*time.Millisecond, 1500*time.Millisecond, 1
	o.progress, o.out = t.Output(), io.Discard
	return o
}

// Times are not asserted. A scenario fails when something acknowledged did not arrive, or arrived with
// another body or a wrong signature.
func TestNothingIsLostAndEverySignatureVerifies(t *testing.T) {
	t.Run("single events", func(t *testing.T) {
		s, err := new(small(t, throughputDefaults())).speed(t.Context(), 2<<10, 3)
		if err != nil {
			t.Fatal(err)
		}
		if s.lost > 0 || s.refused > 0 || s.deliveries == 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("batches", func(t *testing.T) {
		s, err := new(small(t, batchDefaults())).speed(t.Context(), 64<<10, 1)
		if err != nil {
			t.Fatal(err)
		}
		if s.lost > 0 || s.refused > 0 || s.deliveries == 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("two daemons on PostgreSQL", func(t *testing.T) {
		s, err := new(small(t, throughputDefaults())).share(t.Context(), 2<<10, 3, 2)
		if err != nil {
			t.Fatal(err)
		}
		if s.lost > 0 || s.refused > 0 || s.deliveries == 0 || s.database <= 0 || s.wal < 500 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("light load on PostgreSQL", func(t *testing.T) {
		o := small(t, lightDefaults())
		o.Store, o.Daemons = inPostgres, numbers{1}
		d, err := o.delay(t.Context(), 2<<10, 3)
		if err != nil {
			t.Fatal(err)
		}
		if d.lost > 0 || !d.shared || d.block < 100 || d.disk.p50 <= 0 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("half of the destinations hang", func(t *testing.T) {
		o := small(t, isolationDefaults())
		o.Destinations, o.Rate = 20, 200
		c, err := o.calm(t.Context(), 10, true)
		if err != nil {
			t.Fatal(err)
		}
		if want := int(o.Rate * o.For.Seconds() / 2); c.lost > 0 || c.deliveries+c.refused < want {
			t.Errorf("%+v, want %d deliveries to healthy destinations", c, want)
		}
	})
	t.Run("a neighbour sends slowly and keeps connections", func(t *testing.T) {
		o := small(t, producersDefaults())
		o.Rate = 100
		n, err := o.neighbours(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if want := int(2 * o.Rate * o.For.Seconds()); n.lost > 0 || n.refused > 0 || n.events < want {
			t.Errorf("%+v, want %d events accepted and none refused", n, want)
		}
	})
	t.Run("light load beside the bare loop", func(t *testing.T) {
		d, err := new(small(t, lightDefaults())).delay(t.Context(), 2<<10, 3)
		if err != nil {
			t.Fatal(err)
		}
		if d.lost > 0 || d.block < 100 || d.block > 16<<10 || d.disk.p50 <= 0 {
			t.Errorf("%+v, want blocks about as large as what a commit writes", d)
		}
	})
	t.Run("more producers than can be served", func(t *testing.T) {
		o := small(t, cliffDefaults())
		o.Conns *= crowding
		var s speed
		if err := o.loop(t.Context(), &s, 2<<10, 3); err != nil {
			t.Fatal(err)
		}
		if s.lost > 0 || s.deliveries == 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("kill -9 with a backlog", func(t *testing.T) {
		o := small(t, backlogDefaults())
		o.Destinations, o.Pending = 20, 2000
		w, err := o.weight(t.Context(), "backlog:")
		if err != nil {
			t.Fatal(err)
		}
		if w.with.lost > 0 || w.opening[0].deliveries == 0 || w.opening[1].deliveries == 0 || w.pending != int64(o.Pending) { // whether the dead are due again within two seconds is up to their schedule
			t.Errorf("%+v", w)
		}
	})
}

func TestManyCountsWhatItMeasures(t *testing.T) {
	o := small(t, manyDefaults())
	o.Developers, o.Destinations = 20, 2
	c, err := o.crowd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.destinations != 40 || c.first <= 0 || c.later <= 0 || c.reload <= 0 || c.metrics <= 0 || c.rest <= 0 || c.reloadPeak < c.rest/2 || c.lines == 0 {
		t.Errorf("%+v", c)
	}
}

func TestScenariosAreNamed(t *testing.T) {
	for _, args := range [][]string{nil, {"fast"}, {"sink"}, {"loader"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "isolation") {
			t.Errorf("%q: %v, want the names of the scenarios", args, err)
		}
	}
	if err := run(t.Context(), []string{"light", "-fantail", "no/such/file"}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("without a binary: %v", err)
	}
}
