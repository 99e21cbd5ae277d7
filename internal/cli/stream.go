package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// streams is how many events may be under way at once.
const streams = 64

// stream hands in made-up events, many at a time.
type stream struct {
	env    *env
	client *client.Client
	flags  generateFlags
	line   *progress
	began  time.Time

	events  chan made
	senders sync.WaitGroup
	end     context.CancelCauseFunc // of the feed, when nothing that follows can be taken

	mu                   sync.Mutex
	accepted, deliveries int
	refusals             map[string]int // by reason
	took                 []time.Duration
	seen                 int // latencies, those that took holds no more included
}

// made is an event and when it was due to go out.
type made struct {
	body []byte
	due  time.Time
}

func (s *stream) start(ctx context.Context) {
	s.events = make(chan made)
	for range streams {
		s.senders.Go(func() {
			for e := range s.events {
				a, err := s.client.Send(ctx, client.SendRequest{Developer: s.flags.developer, IdempotencyKey: uuid.NewString(), Body: e.body})
				s.note(a, err, time.Since(e.due))
			}
		})
	}
}

// finish waits for what is under way.
func (s *stream) finish() {
	close(s.events)
	s.senders.Wait()
	s.line.clear()
}

// keep bounds the latencies that are kept. Above it, each has the same chance to be among them.
const keep = 1 << 20

func (s *stream) note(a client.Accepted, err error, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		why := err.Error()
		if refused, ok := errors.AsType[*client.Error](err); ok {
			why = refused.Code + ": " + refused.Message
			if refusesAll(refused) {
				s.end(refused)
			}
		}
		if len(s.refusals) >= 20 && s.refusals[why] == 0 {
			why = "other reasons"
		}
		s.refusals[why]++
		return
	}
	s.accepted++
	s.deliveries += a.Deliveries
	s.seen++
	if len(s.took) < keep {
		s.took = append(s.took, took)
	} else if i := rand.IntN(s.seen); i < keep {
		s.took[i] = took
	}
}

func (s *stream) refused() (n int) {
	for _, k := range s.refusals {
		n += k
	}
	return n
}

func (s *stream) show(n, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.show("%d of %d, %d accepted, %d refused, %s", n, total, s.accepted, s.refused(), span(time.Since(s.began).Truncate(time.Second)))
}

// generated is the summary as --json shows it.
type generated struct {
	Accepted   int            `json:"accepted"`
	Refused    int            `json:"refused"`
	Refusals   map[string]int `json:"refusals,omitempty"`
	Deliveries int            `json:"deliveries"`
	Seconds    float64        `json:"seconds"`
	Rate       float64        `json:"rate"` // accepted, a second
	P50        float64        `json:"p50_ms"`
	P95        float64        `json:"p95_ms"`
	P99        float64        `json:"p99_ms"`
	Max        float64        `json:"max_ms"`
	Seed       uint64         `json:"seed"`
}

// refusesAll tells whether the daemon would refuse any of these events: because of their developer,
// or of the token.
func refusesAll(refused *client.Error) bool {
	return refused.Code == unknownDeveloper || refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden
}

func (s *stream) summary() error {
	lasted := time.Since(s.began)
	slices.Sort(s.took)
	g := generated{
		Accepted: s.accepted, Refused: s.refused(), Refusals: s.refusals, Deliveries: s.deliveries, Seconds: lasted.Seconds(), Rate: float64(s.accepted) / lasted.Seconds(),
		P50: s.quantile(0.50), P95: s.quantile(0.95), P99: s.quantile(0.99), Max: s.quantile(1), Seed: s.flags.seed,
	}
	if s.env.json {
		if err := s.env.printJSON(g); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.env.out, "accepted %d, refused %d (%s) in %s: %.1f/s\n", g.Accepted, g.Refused, count(g.Deliveries, "delivery"), took(lasted), g.Rate)
		if g.Accepted > 0 {
			fmt.Fprintf(s.env.out, "until on disk: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms\n", g.P50, g.P95, g.P99, g.Max)
		}
		fmt.Fprintf(s.env.out, "the same again: --seed %d\n", g.Seed)
		for _, why := range slices.Sorted(maps.Keys(s.refusals)) {
			fmt.Fprintf(s.env.err, "%d refused: %s\n", s.refusals[why], clean(why))
		}
	}
	if g.Refused > 0 {
		return errSilent
	}
	return nil
}

// quantile is a quantile of the latencies, which must be sorted, in ms.
func (s *stream) quantile(q float64) float64 {
	if len(s.took) == 0 {
		return 0
	}
	i := min(int(q*float64(len(s.took))), len(s.took)-1)
	return float64(s.took[i].Microseconds()) / 1000
}
