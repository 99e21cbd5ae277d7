package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// far counts the checks of each destination, which answer as err says.
type far struct {
	mu    sync.Mutex
	asked map[string]int
	err   map[string]error
	hang  map[string]bool // until the context of the check ends
}

func newFar() *far {
	return &far{asked: map[string]int{}, err: map[string]error{}, hang: map[string]bool{}}
}

func (f *far) target(id uint32, name string) Target {
	return Target{Key: keyed(name), ID: id, Hash: 1, Enabled: true, Open: func() (destination.Destination, error) {
		return fake{func(ctx context.Context) error {
			f.mu.Lock()
			f.asked[name]++
			err, hang := f.err[name], f.hang[name]
			f.mu.Unlock()
			if hang {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return err
		}}, nil
	}}
}

func (f *far) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.asked)
}

func keyed(name string) store.DestinationKey {
	return store.DestinationKey{Developer: "acme", Name: name, Kind: "test"}
}

// running starts a Runner in the background, for as long as the test lasts.
func running(t *testing.T, begin func(uint32) (func(), string), ts ...Target) (*Runner, *bytes.Buffer) {
	var log bytes.Buffer
	if begin == nil {
		begin = func(uint32) (func(), string) { return func() {}, "" }
	}
	r := NewRunner(Options{Begin: begin, Log: slog.New(slog.NewTextHandler(&log, nil))})
	r.SetTargets(ts)
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { cancel(); over.Wait() })
	synctest.Wait()
	return r, &log
}

func TestWhatIsWellIsCheckedADayLaterAndWhatIsIllAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		f.err["ill"] = errors.New("answered 500")
		off, mute := f.target(3, "off"), f.target(4, "mute")
		off.Enabled, mute.Mute = false, true
		r, log := running(t, nil, f.target(1, "well"), f.target(2, "ill"), off, mute)
		for _, c := range []struct {
			wait      time.Duration
			well, ill int
		}{{0, 1, 1}, {50 * time.Minute, 1, 1}, {20 * time.Minute, 1, 2}, {22*time.Hour + 30*time.Minute, 1, 24}, {40 * time.Minute, 2, 25}} {
			time.Sleep(c.wait)
			synctest.Wait()
			got := f.counts()
			if got["well"] != c.well || got["off"] != 0 || got["mute"] != 0 || c.wait <= 20*time.Minute && got["ill"] != c.ill {
				t.Errorf("%v later: %v", c.wait, got)
			}
		}
		if n := strings.Count(log.String(), "found a fault"); n != 1 {
			t.Errorf("a fault that is no news is logged: %d lines", n)
		}
		if last, ok := r.LastCheck(keyed("mute")); !ok || !strings.Contains(last.Fault(), "have no check") {
			t.Errorf("mute: %+v", last)
		}
		if _, err := r.Check(t.Context(), keyed("off")); err != nil || f.counts()["off"] != 1 {
			t.Errorf("asked for: %v", err)
		}
	})
}

// New targets wait only for checks that run, not for thousands that are still due.
func TestNewTargetsEndARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		var ts []Target
		for i := range uint32(100) {
			name := "hangs-" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			f.hang[name] = true
			ts = append(ts, f.target(i, name))
		}
		r, _ := running(t, nil, ts...)
		if n := len(f.counts()); n != atATime/2 {
			t.Fatalf("%d are checked at a time", n)
		}
		// Checks that people ask for have the other half of the places.
		began := time.Now()
		if _, err := r.Check(t.Context(), keyed("none")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		next := f.target(1000, "new")
		r.SetTargets(append([]Target{next}, ts[1:]...))
		if _, err := r.Check(t.Context(), next.Key); err != nil || !time.Now().Equal(began) {
			t.Errorf("asked for: %v after %v", err, time.Since(began))
		}
		r.SetTargets([]Target{f.target(1001, "newest")})
		time.Sleep(Timeout)
		synctest.Wait()
		if got := f.counts(); got["newest"] != 1 || len(got) != atATime/2+2 {
			t.Errorf("%v later %d were checked, the new one %d times", Timeout, len(got), got["newest"])
		}
	})
}

func TestChangedSettingsAreCheckedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		target := f.target(1, "app")
		r, _ := running(t, nil, target, f.target(2, "same"), f.target(3, "gone"))
		target.Hash = 2
		r.SetTargets([]Target{target, f.target(2, "same")})
		synctest.Wait()
		if got := f.counts(); got["app"] != 2 || got["same"] != 1 {
			t.Errorf("%v", got)
		}
		if _, kept := r.LastCheck(keyed("gone")); kept {
			t.Error("what was removed is remembered")
		}
	})
}

func TestACheckThatMustNotBeMadeSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		var ended []uint32
		r, log := running(t, func(id uint32) (func(), string) {
			if id == 1 {
				return nil, "the process died of it"
			}
			return func() { ended = append(ended, id) }, ""
		}, f.target(1, "kills"), f.target(2, "fine"))
		if last, _ := r.LastCheck(keyed("kills")); last.Level != Warn || !strings.Contains(last.Fault(), "the process died of it") || f.counts()["kills"] != 0 {
			t.Errorf("%+v", last)
		}
		if len(ended) != 1 || ended[0] != 2 || !strings.Contains(log.String(), "a destination is not checked") {
			t.Errorf("ended %v, log %s", ended, log)
		}
	})
}

func TestHalfACheckSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		f.hang["app"] = true
		off, broken := f.target(1, "app"), f.target(2, "broken")
		off.Enabled, broken.Enabled = false, false
		cannot := errors.New("cannot be opened")
		broken.Open = func() (destination.Destination, error) { return nil, cannot }
		r, _ := running(t, nil, off, broken)
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		if _, err := r.Check(ctx, keyed("app")); !errors.Is(err, gone) {
			t.Errorf("%v", err)
		}
		if _, err := r.Check(t.Context(), keyed("broken")); !errors.Is(err, cannot) {
			t.Errorf("%v", err)
		}
		for _, name := range []string{"app", "broken"} {
			if _, ok := r.LastCheck(keyed(name)); ok {
				t.Errorf("%s has a result", name)
			}
		}
	})
}

func TestEachChecksAllAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		var ts []Target
		for i := range uint32(20) {
			ts = append(ts, f.target(i, "app-"+string(rune('a'+i))))
			f.hang[ts[i].Key.Name] = true
		}
		began := time.Now()
		seen := map[int]bool{}
		Each(t.Context(), ts, func(i int, r Result, err error) { // unsynchronised: calls do not overlap
			if err != nil || r.Level != Fail {
				t.Errorf("%d: %+v, %v", i, r, err)
			}
			seen[i] = true
		})
		if len(seen) != 20 || time.Since(began) != 3*Timeout {
			t.Errorf("%d seen after %v", len(seen), time.Since(began))
		}
	})
}

// Of thousands of faults at a start, a few have a line each and all others share one.
func TestManyFaultsAreOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		var ts []Target
		for i := range 1000 {
			name := fmt.Sprintf("d%d", i)
			f.err[name] = errors.New("closed")
			ts = append(ts, f.target(uint32(i), name))
		}
		_, log := running(t, nil, ts...)
		if lines := strings.Count(log.String(), "\n"); lines != singly+1 || !strings.Contains(log.String(), "more destinations found faults") || !strings.Contains(log.String(), "destinations=995") {
			t.Errorf("%d lines:\n%.2000s", lines, log)
		}
	})
}

// Faults that a long round finds are told before its end.
func TestFaultsOfALongRoundAreToldMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		var ts []Target
		for i := range 200 {
			name := fmt.Sprintf("d%d", i)
			f.hang[name] = true
			ts = append(ts, f.target(uint32(i), name))
		}
		_, log := running(t, nil, ts...)
		time.Sleep(pass + 5*Timeout) // four at a time, each for 30 s
		synctest.Wait()              // what this instant brings is told
		if text := log.String(); strings.Count(text, "more destinations found faults") != 1 || strings.Count(text, "\n") != singly+1 {
			t.Errorf("the log:\n%.2000s", text)
		}
	})
}
