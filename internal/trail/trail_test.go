package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
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
	if who := Who(t.Context()); who != (Actor{By: Daemon}) {
		t.Errorf("%q acts where nobody is named", who)
	}
	over := Actor{"crm", "lnk_a", "putDeveloper"}
	if who := Who(As(t.Context(), over)); who != over {
		t.Errorf("%q acts", who)
	}
}

// A read that nobody could note is refused; the next one is no freer for it.
func TestAReadIsFreeOnlyBehindItsRow(t *testing.T) {
	s := &shelf{err: errors.New("the disk is full")}
	tr := New(s, quiet())
	a := store.Act{By: "support", Call: "getEventBody", Developer: "acme"}
	for range 3 {
		if err := tr.Count(t.Context(), a); err == nil {
			t.Fatal("a read passes without a row")
		}
	}
	s.err = nil
	for range 2 {
		if err := tr.Count(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	tr.write(t.Context(), time.Now().Add(countEvery), true)
	if texts, sum := s.rows(); len(texts) != 2 || sum != 2 {
		t.Errorf("%d acts: %v", sum, texts)
	}
}

// slowShelf waits with each write.
type slowShelf struct {
	shelf
	begun, ended chan struct{}
}

func (s *slowShelf) Note(ctx context.Context, now time.Time, acts []store.Act) error {
	s.begun <- struct{}{}
	<-s.ended
	return s.shelf.Note(ctx, now, acts)
}

// Whoever reads while the first row is being written waits for it: a crash would take
// the trace of them with it.
func TestNobodyReadsBeforeTheirRowIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowShelf{begun: make(chan struct{}), ended: make(chan struct{})}
		tr := New(s, quiet())
		var answered int32
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := tr.Count(context.Background(), store.Act{By: "support", Call: "getEventBody"}); err != nil {
					t.Error(err)
				}
				atomic.AddInt32(&answered, 1)
			})
		}
		<-s.begun
		synctest.Wait()
		if n := atomic.LoadInt32(&answered); n != 0 {
			t.Errorf("%d were answered before the row was there", n)
		}
		s.ended <- struct{}{}
		wg.Wait()
	})
}

// What the engine told, and what was counted, waits for a disk that works again.
func TestWhatCannotBeWrittenWaits(t *testing.T) {
	s := &shelf{}
	tr := New(s, quiet())
	for range 5 {
		if err := tr.Count(t.Context(), store.Act{By: "support", Call: "getEventBody"}); err != nil {
			t.Fatal(err)
		}
	}
	tr.Tell(store.Act{By: Daemon, Object: "hook"})
	s.err = errors.New("the disk is full")
	later := time.Now().Add(countEvery)
	tr.write(t.Context(), later, true)
	tr.Tell(store.Act{By: Daemon, Object: "second"})
	s.err = nil
	tr.write(t.Context(), later, true)
	if texts, sum := s.rows(); sum != 5+2 || len(texts) != 4 || texts[3] != "second x1" {
		t.Errorf("%d acts: %v", sum, texts)
	}
	s.err = errors.New("the disk is full")
	for range 5 {
		for range mostTold {
			tr.Tell(store.Act{By: Daemon})
		}
		tr.write(t.Context(), later, false)
	}
	if len(tr.told) > mostWaiting {
		t.Errorf("%d acts wait in memory", len(tr.told))
	}
}

// An erasure takes the person out of what is counted, told, or on its way as well.
func TestTheErasedAreInNoActOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		tr := New(s, quiet())
		for range 2 {
			if err := tr.Count(t.Context(), store.Act{By: "a", Developer: "acme", Call: "x", Object: "ann-42", Reason: "first"}); err != nil {
				t.Fatal(err)
			}
			s.acts = nil
		}
		tr.Tell(store.Act{By: Daemon, Developer: "acme", Reason: "not found: ann-42"})
		tr.Forget("acme", "ann-42")
		for _, developer := range []string{"acme", "", "globex"} {
			if err := tr.Note(t.Context(), store.Act{Developer: developer, Object: "o", Reason: "Ann-42 asked"}); err != nil {
				t.Fatal(err)
			}
		}
		tr.write(t.Context(), time.Now().Add(countEvery), true)
		named := 0
		for _, a := range s.acts {
			if strings.Contains(strings.ToLower(a.Object+a.Reason), "ann-42") {
				named++
				if a.Developer != "globex" {
					t.Errorf("it names them: %+v", a)
				}
			}
		}
		if len(s.acts) != 5 || named != 1 {
			t.Errorf("%d acts, %d with the name of another's user: %+v", len(s.acts), named, s.acts)
		}
		for i := range mostGone + 10 {
			tr.Forget("acme", fmt.Sprint(i))
		}
		if n := len(tr.gone.users); n != mostGone {
			t.Errorf("%d names are kept", n)
		}
		time.Sleep(goneFor)
		if tr.Forget("acme", "x"); len(tr.gone.users) != 1 {
			t.Errorf("%d names are kept for ever", len(tr.gone.users))
		}
	})
}
