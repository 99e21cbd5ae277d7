package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// liveReaders is how many may follow attempts at once, and liveOfOne how many with one token.
	liveReaders, liveOfOne = 16, 4
	// liveBeat is how often a reader hears that nothing happens, and whether they may still read is looked at.
	liveBeat = 15 * time.Second
	// livePatience is how long a reader may take nothing before the connection is cut.
	livePatience = 10 * time.Second
)

// liveView is an attempt as those see it who follow. Without a delivery it only says
// how many were lost.
type liveView struct {
	At          time.Time         `json:"at,omitzero"`
	Delivery    *store.DeliveryID `json:"delivery,omitempty"`
	Developer   string            `json:"developer,omitempty"`
	Destination string            `json:"destination,omitempty"`
	Kind        string            `json:"kind,omitempty"`
	Type        string            `json:"type,omitempty"`
	User        string            `json:"user,omitempty"`
	Tried       int               `json:"tried,omitzero"`
	Class       string            `json:"class,omitempty"`
	Code        int               `json:"code,omitzero"`
	Answer      string            `json:"answer,omitempty"`
	Fault       string            `json:"fault,omitempty"`
	Millis      int64             `json:"ms,omitzero"`
	State       string            `json:"state,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Due         time.Time         `json:"due,omitzero"`
	Lost        int               `json:"lost,omitzero"`
}

func viewAttempted(a *delivery.Attempted) liveView {
	return liveView{
		At: a.At, Delivery: &a.Delivery, Developer: a.Destination.Developer, Destination: a.Destination.Name, Kind: a.Destination.Kind,
		Type: a.Type, User: a.User, Tried: a.Tried, Class: a.Class, Code: a.Code, Answer: a.Answer, Fault: a.Fault, Millis: a.Took.Milliseconds(),
		State: a.State.String(), Reason: a.Reason, Due: a.Due, Lost: a.Lost,
	}
}

// readers are those who follow attempts.
type readers struct {
	mu    sync.Mutex
	all   int
	of    map[string]int // by the name of the token
	ended chan struct{}  // closed when the daemon stops
	once  sync.Once
}

func newReaders() *readers { return &readers{of: map[string]int{}, ended: make(chan struct{})} }

// enter counts one in; leave counts them out.
func (r *readers) enter(name string) (leave func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all >= liveReaders || r.of[name] >= liveOfOne && name != local.name {
		return nil, &ingest.Refusal{Status: 429, Code: "too_many_readers", RetryAfter: liveBeat,
			Message: fmt.Sprintf("%d follow attempts already, %d of them with this token: %d and %d are the most", r.all, r.of[name], liveReaders, liveOfOne)}
	}
	r.all++
	r.of[name]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all--
		if r.of[name]--; r.of[name] == 0 {
			delete(r.of, name)
		}
	}, nil
}

// EndLive ends the answers that go on for as long as the daemon runs. It is the first
// thing of a stop: a server that shuts down waits for every answer.
func (a *API) EndLive() { a.readers.once.Do(func() { close(a.readers.ended) }) }

var asEvents = []string{"text/event-stream"}

// live tells of attempts as they end, and of counters, as server-sent events, until the
// reader goes, may not read any more, takes nothing, or the daemon stops.
func (a *API) live(c *call) error {
	developer, destination := c.query.text("developer"), c.query.text("destination")
	if destination != "" && developer == "" {
		return refuse(400, "invalid_parameter", "destination needs developer: names are each developer's own")
	}
	if developer != "" && len(a.Daemon.Names().find(c.who, developer, destination)) == 0 {
		return notFound("there is no such developer or destination")
	}
	attempts, counters, err := toTell(c.query.values["tell"])
	if err != nil {
		return err
	}
	leave, err := a.readers.enter(c.who.name)
	if err != nil {
		return err
	}
	defer leave()
	if a.Outside != nil {
		defer a.Outside(c.r.Context())()
	}
	h := c.Header()
	h["Content-Type"], h["X-Accel-Buffering"] = asEvents, []string{"no"}
	if c.r.ProtoMajor == 1 {
		h["Connection"] = []string{"close"}
	}
	if c.r.Method == http.MethodHead {
		c.WriteHeader(200)
		return nil
	}
	out := &stream{c: c, out: http.NewResponseController(c.ResponseWriter), sees: func() bool { return a.stillSees(c) }}
	if counters {
		out.totals = func() totalsView { return a.totalsOf(c.who) }
	}
	if !attempts {
		a.follow(out, nil, nil)
		return nil
	}
	wish := liveWish{Developer: developer, Destination: destination, All: c.who.developers == nil, Developers: c.who.developers}
	w := a.Scheduler.Watch(wish.wants)
	defer w.Close()
	ctx, cancel := context.WithCancel(c.r.Context())
	f := a.followPeers(ctx, wish)
	a.follow(out, w, f)
	if cancel(); f != nil {
		f.work.Wait()
	}
	return nil
}

// follow tells of attempts here, of those that others tell of, and of totals. w and out.totals are nil where the
// reader wants none, f where nobody else tells.
func (a *API) follow(out *stream, w *delivery.Watch, f *fan) {
	var wake <-chan struct{}
	var theirs chan json.RawMessage
	var silent chan string
	text := ": counters follow\n\n"
	if w != nil {
		wake, text = w.Wake, ": attempts follow\n\n"
	}
	if f != nil {
		theirs, silent = f.attempts, f.silent
	}
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	var due <-chan time.Time // of the next totals
	if out.totals != nil {
		each := time.NewTicker(countersEvery)
		defer each.Stop()
		due = each.C
	}
	for count := out.totals != nil; ; {
		if out.raw(text) != nil || count && out.event("counters", out.totals()) != nil {
			return
		}
		text, count = "", false
		var one json.RawMessage
		select {
		case <-due:
			count = true
		case one = <-theirs:
		case name := <-silent:
			if out.event("unanswered", problemText{"unanswered", "daemon " + name + " does not tell of its attempts"}) != nil {
				return
			}
		case <-wake:
		case <-beat.C:
			text = ": nothing else for now\n\n"
		case <-a.readers.ended:
			_ = out.event("end", problemText{"stopping", "the daemon stops"})
			return
		case <-out.c.r.Context().Done():
			return
		}
		if !out.sees() {
			_ = out.event("end", problemText{"forbidden", "the rights of the token have changed"})
			return
		}
		if one != nil && out.event("attempt", one) != nil {
			return
		}
		if w == nil {
			continue
		}
		attempts, lost := w.Take()
		for i := range attempts {
			if out.event("attempt", viewAttempted(&attempts[i])) != nil {
				return
			}
		}
		if lost > 0 && out.event("attempt", liveView{Lost: lost}) != nil {
			return
		}
	}
}

// stillSees tells whether who began to read has the same rights now.
func (a *API) stillSees(c *call) bool {
	now, err := a.identify(c.r)
	return err == nil && now.may&canRead != 0 && (now.developers == nil) == (c.who.developers == nil) && slices.Equal(now.developers, c.who.developers)
}

// stream writes server-sent events, each at once.
type stream struct {
	c    *call
	out  *http.ResponseController
	sees func() bool // whether the reader still may

	totals func() totalsView // nil: the reader wants none
}

func (s *stream) raw(text string) error {
	if text == "" {
		return nil
	}
	// Not every writer has deadlines (a test's recorder has none).
	_ = s.out.SetWriteDeadline(time.Now().Add(livePatience))
	if _, err := s.c.Write([]byte(text)); err != nil {
		return err
	}
	return s.out.Flush()
}

func (s *stream) event(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.raw("event: " + name + "\ndata: " + string(b) + "\n\n")
}
