package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// shelf keeps acts in memory.
type shelf struct {
	store.Trail
	mu   sync.Mutex
	acts []store.Act
	err  error
}

func (s *shelf) Note(ctx context.Context, _ time.Time, acts []store.Act) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.acts = append(s.acts, acts...)
	return nil
}

// rows are the acts as "object xCount", and how many acts they stand for.
func (s *shelf) rows() (texts []string, sum int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.acts {
		texts = append(texts, fmt.Sprintf("%s x%d", a.Object, a.Count))
		sum += a.Count
	}
	return texts, sum
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestReadsAreOneRowAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		tr := New(s, quiet())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); tr.Run(ctx) }()
		for i := range 300 { // five minutes, one a second
			if err := tr.Count(ctx, store.Act{By: "support", Call: "getEventBody", Developer: "acme", Object: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			if texts, _ := s.rows(); i == 0 && len(texts) != 1 {
				t.Fatalf("the first is not there when it is answered: %v", texts)
			}
			time.Sleep(time.Second)
		}
		stop()
		<-done
		texts, sum := s.rows()
		if sum != 300 || len(texts) > 7 {
			t.Errorf("%d rows for %d acts: %v", len(texts), sum, texts)
		}
	})
}

func TestActsThatDifferAreCountedApart(t *testing.T) {
	s := &shelf{}
	tr := New(s, quiet())
	for _, a := range []store.Act{{By: "a"}, {By: "b"}, {By: "a", Developer: "acme"}, {By: "a", Call: "x"}, {By: "a", Result: "forbidden"}, {By: "a", Via: "l"}, {From: "n"}} {
		for range 3 {
			if err := tr.Count(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
	}
	if texts, _ := s.rows(); len(texts) != 7 {
		t.Errorf("%d rows: %v", len(texts), texts)
	}
}

// A flood from everywhere costs few rows and little memory, and no act is lost.
func TestAFloodOfRefusedLogInsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		tr := New(s, quiet())
		const each = 20_000
		for range 3 {
			for i := range each {
				if err := tr.Count(t.Context(), store.Act{From: fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255), Call: "createSession", Result: "unauthorized"}); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(tr.counted); n > mostNetworks+1 {
				t.Fatalf("%d are remembered", n)
			}
			time.Sleep(countEvery)
		}
		tr.write(t.Context(), time.Now(), true)
		texts, sum := s.rows()
		if sum != 3*each || len(texts) > 3*2*(mostNetworks+1) {
			t.Errorf("%d rows for %d acts", len(texts), sum)
		}
	})
}

func TestWhatIsCountedIsBounded(t *testing.T) {
	s := &shelf{}
	tr := New(s, quiet())
	for i := range mostCounted + 500 {
		if err := tr.Count(t.Context(), store.Act{By: "a", Developer: fmt.Sprint(i), Call: "getEventBody"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tr.counted); n > mostCounted+1 {
		t.Errorf("%d are remembered", n)
	}
}

// Whoever waits for the answer may go: what they did stands in the trail.
func TestAnActIsNotedWhoeverGoes(t *testing.T) {
	s := &shelf{}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(s, quiet()).Note(gone, store.Act{Object: "a"}); err != nil {
		t.Error(err)
	}
	if texts, _ := s.rows(); len(texts) != 1 {
		t.Errorf("noted: %v", texts)
	}
}

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	s := &shelf{}
	long := strings.Repeat("日", 1000)
	if err := New(s, quiet()).Note(t.Context(), store.Act{Object: long, Reason: long, By: "a"}); err != nil {
		t.Fatal(err)
	}
	if a := s.acts[0]; len(a.Object) != 126 || len(a.Reason) != 498 || !utf8.ValidString(a.Object+a.Reason) {
		t.Errorf("object of %d bytes, reason of %d", len(a.Object), len(a.Reason))
	}
}

func TestTheEngineNeverWaits(t *testing.T) {
	s := &shelf{err: errors.New("the disk is full")}
	var log bytes.Buffer
	tr := New(s, slog.New(slog.NewTextHandler(&log, nil)))
	for range mostTold + 10 {
		tr.Tell(store.Act{By: Daemon})
	}
	tr.write(t.Context(), time.Now(), false)
	if !strings.Contains(log.String(), "acts=10") || !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("log: %s", log.String())
	}
}

func TestWhoActs(t *testing.T) {
	if who := Who(t.Context()); who != Daemon {
		t.Errorf("%q acts where nobody is named", who)
	}
	if who := Who(As(t.Context(), Signal)); who != Signal {
		t.Errorf("%q acts", who)
	}
}
