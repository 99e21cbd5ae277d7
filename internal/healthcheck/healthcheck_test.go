package healthcheck

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// memory is a store of counters and values.
type memory struct {
	mu     sync.Mutex
	counts map[uint32]int64
	values map[string][]byte
	sent   []sent
	asleep map[uint32]bool
}

type sent struct {
	at   time.Time
	dest uint32
	body string
}

func newMemory() *memory {
	return &memory{counts: map[uint32]int64{}, values: map[string][]byte{}, asleep: map[uint32]bool{}}
}

func (m *memory) Counts(dest uint32) store.Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return store.Counts{Delivered: m.counts[dest]}
}

func (m *memory) add(dest uint32, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[dest] += n
}

func (m *memory) Put(_ context.Context, key string, value []byte) error {
	m.values[key] = value
	return nil
}

func (m *memory) Get(_ context.Context, key string) ([]byte, error) {
	if v, ok := m.values[key]; ok {
		return v, nil
	}
	return nil, store.ErrNotFound
}

func (m *memory) accept(_ context.Context, rs []ingest.Request) []ingest.Result {
	for _, r := range rs {
		m.sent = append(m.sent, sent{time.Now(), r.Only, string(r.Body)})
	}
	return make([]ingest.Result, len(rs))
}

func (m *memory) start(every time.Duration, targets ...Target) (stop func()) {
	h := New(Options{Store: m, Accept: m.accept, Log: slog.New(slog.DiscardHandler), Active: func() map[uint32]bool {
		active := map[uint32]bool{}
		for _, t := range targets {
			active[t.ID] = !m.asleep[t.ID]
		}
		return active
	}})
	h.SetTargets(every, targets)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func target(id uint32) Target { return Target{ID: id, Developer: "acme", Name: fmt.Sprint("d", id)} }

func TestEveryDestinationHasItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var targets []Target
		for id := range uint32(1000) {
			targets = append(targets, target(id+1))
		}
		m.asleep[7] = true
		began := time.Now()
		stop := m.start(time.Hour, targets...)
		time.Sleep(3 * time.Hour)
		stop()
		at := map[uint32][]time.Time{}
		second := map[int64]int{}
		for _, s := range m.sent {
			at[s.dest] = append(at[s.dest], s.at)
			second[s.at.Unix()]++
		}
		if len(at[7]) != 0 {
			t.Error("a destination that is not active got one")
		}
		delete(at, 7)
		if len(at) != 999 {
			t.Fatalf("%d destinations got one", len(at))
		}
		for id, times := range at {
			if len(times) != 3 || times[0].Sub(began) > time.Hour {
				t.Fatalf("%d got %d, the first at %v", id, len(times), times[0])
			}
			for i := 1; i < len(times); i++ {
				if d := times[i].Sub(times[i-1]); d != time.Hour {
					t.Fatalf("%d got one after %v", id, d)
				}
			}
		}
		for s, n := range second {
			if n > 10 {
				t.Errorf("%d healthchecks in one second (%d)", n, s)
			}
		}
	})
}

func TestFiguresAreOfTheLastHourAndSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add(1, 1_000_000) // of before: nobody knows when
		stop := m.start(time.Hour, target(1))
		for minute := range 6 * 60 {
			n := int64(1)
			if minute >= 4*60 {
				n = 3
			}
			time.Sleep(30 * time.Second) // counters are read on the minute
			m.add(1, n)
			if minute%100 == 50 {
				stop() // a restart
				stop = m.start(time.Hour, target(1))
			}
			time.Sleep(30 * time.Second)
		}
		stop()
		var sums []string
		for _, s := range m.sent {
			var b struct {
				Sent  int     `json:"sent_webhooks_last_hour"`
				Trend float64 `json:"trend_percentage"`
			}
			if err := json.Unmarshal([]byte(s.body), &b); err != nil {
				t.Fatal(err)
			}
			sums = append(sums, fmt.Sprintf("%d %g", b.Sent, b.Trend))
		}
		if len(sums) != 6 || sums[2] != "60 0" || sums[3] != "60 0" || !strings.HasPrefix(sums[5], "180 ") {
			t.Errorf("figures %q", sums)
		}
	})
}

func TestBodyIsThatOfTheContract(t *testing.T) {
	at := time.Date(2026, 7, 1, 9, 12, 33, 1000, time.UTC)
	want := `{"type":"healthcheck","version":"2022-03-16","status":"normal","creation_timestamp":"2026-07-01 09:12:33.000001+00:00","sent_webhooks_last_hour":120,"trend_percentage":20}`
	if got := string(body(at, 120, 100)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, tt := range []struct {
		hour, before int64
		want         float64
	}{{0, 0, 0}, {5, 0, 100}, {0, 5, -100}, {10, 30, -66.6}, {2, 1, 100}} {
		if got := trend(tt.hour, tt.before); got != tt.want {
			t.Errorf("%d after %d is %g, want %g", tt.hour, tt.before, got, tt.want)
		}
	}
}

// Retention takes days off the counters, and a crash what was not stored yet.
func TestFiguresOfACounterThatFalls(t *testing.T) {
	at := time.Unix(0, 0).Add(1000 * time.Hour)
	f := &figures{Total: 500, Minute: at.Unix() / 60}
	f.read(510, at.Add(time.Minute))
	f.read(10, at.Add(2*time.Minute))
	f.read(15, at.Add(3*time.Minute))
	if hour, _ := f.last(); hour != 15 {
		t.Errorf("%d in the last hour", hour)
	}
	f.read(40, at.Add(53*time.Minute)) // 25 from before the daemon was down for 50 minutes
	f.read(41, at.Add(70*time.Minute))
	if hour, before := f.last(); hour != 1 || before != 40 {
		t.Errorf("%d in the last hour, %d before", hour, before)
	}
	f.read(50, at.Add(5*time.Hour))
	if hour, before := f.last(); hour != 0 || before != 0 {
		t.Errorf("%d in the last hour, %d before", hour, before)
	}
}
