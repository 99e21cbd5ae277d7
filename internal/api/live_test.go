package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// attemptAt is an attempt at a destination.
func attemptAt(developer, name string, n int) *delivery.Attempted {
	return &delivery.Attempted{
		At: time.Date(2026, 7, 1, 12, 0, n, 0, time.UTC), Took: time.Second, Delivery: store.DeliveryID{Event: event.NewID(time.Unix(1, 0), uint16(n), 1), Dest: 1},
		Destination: store.DestinationKey{Developer: developer, Name: name, Kind: "webhook"}, Type: "sleep", User: "u", Tried: n, Class: "transient", Code: 500,
		Fault: "answered 500", State: store.Pending, Due: time.Date(2026, 7, 1, 13, 0, 0, 0, time.UTC),
	}
}

// reader follows attempts over a connection of its own.
type reader struct {
	*bufio.Scanner
	body io.ReadCloser
}

func (r *rig) follow(query, name string) *reader {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "GET", r.server.URL+"/v1/live"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if name != "" {
		req.Header.Set("Authorization", "Bearer secret-of-"+name)
	}
	res, err := r.server.Client().Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(res.Body)
		r.t.Fatalf("%d %s: %s", res.StatusCode, res.Header.Get("Content-Type"), b)
	}
	f := &reader{bufio.NewScanner(res.Body), res.Body}
	if got := f.next(); got != ": attempts follow" && !(got == ": counters follow" && strings.Contains(query, "counters")) {
		r.t.Fatalf("it begins with %q", got)
	}
	return f
}

// next returns the next line that is not empty; "" at the end.
func (f *reader) next() string {
	for f.Scan() {
		if f.Text() != "" {
			return f.Text()
		}
	}
	return ""
}

// attempt returns the data of the next event, which must be one.
func (f *reader) attempt(t *testing.T) string {
	t.Helper()
	if name := f.next(); name != "event: attempt" {
		t.Fatalf("got %q, want an attempt", name)
	}
	return strings.TrimPrefix(f.next(), "data: ")
}

func TestAttemptsAreFollowedWithinTheRightsOfTheToken(t *testing.T) {
	r := newRig(t, setup{live: true, tokens: []Token{token("all", "read"), token("acme", "read", "acme")}})
	all, acme, night := r.follow("", "all"), r.follow("", "acme"), r.follow("?developer=acme&destination=night", "all")
	r.sched.Tell(attemptAt("initech", "crm", 1))
	r.sched.Tell(attemptAt("acme", "app", 2))
	r.sched.Tell(attemptAt("acme", "night", 3))
	for name, c := range map[string]struct {
		*reader
		want []string
	}{"all": {all, []string{"crm", "app", "night"}}, "acme": {acme, []string{"app", "night"}}, "night": {night, []string{"night"}}} {
		for _, want := range c.want {
			if got := c.attempt(t); !strings.Contains(got, `"destination":"`+want+`"`) {
				t.Errorf("%s is told %s, want %s", name, got, want)
			}
		}
	}
	// What a token may see is looked at again: the next thing told ends it.
	if err := r.api.SetTokens([]Token{token("all", "read"), token("acme", "read", "initech")}); err != nil {
		t.Fatal(err)
	}
	r.sched.Tell(attemptAt("acme", "app", 4))
	if got := all.attempt(t); !strings.Contains(got, `"tried":4`) {
		t.Errorf("who has the same rights is told %s", got)
	}
	if event, data := acme.next(), acme.next(); event != "event: end" || !strings.Contains(data, "forbidden") || acme.next() != "" {
		t.Errorf("who has others is told %q %q", event, data)
	}
	r.api.EndLive()
	if event, data := all.next(), all.next(); event != "event: end" || !strings.Contains(data, "stopping") || all.next() != "" {
		t.Errorf("at a stop: %q %q", event, data)
	}
	for path, want := range map[string]int{"?destination=app": 400, "?developer=none": 404, "?developer=acme&destination=crm": 404, "?developer=acme": 200} {
		if a := r.do("GET", "/v1/live"+path, "", bearer("all")); a.status != want {
			t.Errorf("%s: %s", path, a)
		}
	}
	if a := r.do("GET", "/v1/live?developer=acme", "", bearer("acme")); a.status != 404 { // which is initech's now
		t.Errorf("somebody else's developer: %s", a)
	}
	if a := r.do("HEAD", "/v1/live", "", bearer("all")); a.status != 200 || len(a.body) > 0 {
		t.Errorf("HEAD: %s", a)
	}
}

func TestReadersOfAttemptsAreBounded(t *testing.T) {
	tokens := []Token{}
	for i := range 5 {
		tokens = append(tokens, token(fmt.Sprint("t", i), "read"))
	}
	r := newRig(t, setup{live: true, tokens: tokens})
	var open []*reader
	for i := range 5 {
		for range liveOfOne {
			if len(open) < liveReaders {
				open = append(open, r.follow("", fmt.Sprint("t", i)))
			}
		}
	}
	for _, f := range open[liveOfOne:] { // with one token's alone there is room for others
		f.body.Close()
	}
	for until := time.Now().Add(time.Minute); r.do("HEAD", "/v1/live", "", bearer("t4")).status != 200; {
		if time.Now().After(until) {
			t.Fatal("who has left keeps others out")
		}
	}
	if a := r.do("GET", "/v1/live", "", bearer("t0")); a.status != 429 {
		t.Errorf("one more of a token that has its share: %s", a)
	}
	open = open[:liveOfOne]
	for i := range 3 {
		for range liveOfOne {
			name := fmt.Sprint("t", i+1)
			for until := time.Now().Add(time.Minute); r.do("HEAD", "/v1/live", "", bearer(name)).status != 200 && time.Now().Before(until); {
			}
			open = append(open, r.follow("", name))
		}
	}
	for _, name := range []string{"t0", "t4"} {
		if a := r.do("GET", "/v1/live", "", bearer(name)); a.status != 429 || a.code() != "too_many_readers" || a.header.Get("Retry-After") != "15" {
			t.Errorf("one more of %s: %s", name, a)
		}
	}
	open[0].body.Close()
	until := time.Now().Add(time.Minute)
	for {
		a := r.do("HEAD", "/v1/live", "", bearer("t0"))
		if a.status == 200 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("after one has left: %s", a)
		}
	}
	r.api.EndLive()
	for _, f := range open[1:] {
		if f.next() != "event: end" {
			t.Error("a reader is not told of the stop")
		}
	}
}

// Who does not read loses attempts, hears how many, and keeps nobody waiting.
func TestASlowReaderIsToldWhatItLost(t *testing.T) {
	r := newRig(t, setup{live: true})
	slow, err := net.Dial("tcp", r.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fmt.Fprint(slow, "GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	in := bufio.NewReader(slow)
	if head, err := in.ReadString('\n'); err != nil || !strings.Contains(head, "200") {
		t.Fatal(head, err)
	}
	long := attemptAt("acme", "app", 1)
	long.Answer = strings.Repeat("x", 1<<10)
	const told = 40_000 // 40 MB: more than any buffer on the way
	for range told {
		r.sched.Tell(long)
	}
	got, lost := 0, 0
	_ = slow.SetReadDeadline(time.Now().Add(2 * time.Minute))
	for got+lost < told {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d told and %d lost: %v", got, lost, err)
		}
		if strings.HasPrefix(line, "data: ") {
			var n int
			if _, tail, some := strings.Cut(line, `"lost":`); some {
				fmt.Sscan(tail, &n)
			}
			lost += n
			if strings.Contains(line, `"delivery"`) {
				got++
			}
		}
	}
	if lost == 0 || got < 256 {
		t.Errorf("%d told, %d lost", got, lost)
	}
}

func TestTheClientFollowsAttempts(t *testing.T) {
	r := newRig(t, setup{live: true})
	c, err := client.New(r.server.URL, "", r.server.Client())
	if err != nil {
		t.Fatal(err)
	}
	var seen []client.LiveAttempt
	var end error
	r.sched.mu.Lock()
	r.sched.watched = func() { r.sched.Tell(attemptAt("acme", "app", 1)) } // once it follows
	r.sched.mu.Unlock()
	for a, err := range c.Follow(t.Context(), "acme", "app") {
		if err != nil {
			end = err
			break
		}
		seen = append(seen, a)
		r.api.EndLive()
	}
	if refused, ok := errors.AsType[*client.Error](end); !ok || refused.Code != "stopping" {
		t.Errorf("the end: %v", end)
	}
	if len(seen) != 1 || seen[0].Developer != "acme" || seen[0].Code != 500 || seen[0].Millis != 1000 || seen[0].State != "pending" {
		t.Errorf("%+v", seen)
	}
}

// totals returns the data of the next event, which must be counters.
func (f *reader) totals(t *testing.T) (got client.Totals) {
	t.Helper()
	name, data := f.next(), strings.TrimPrefix(f.next(), "data: ")
	if err := json.Unmarshal([]byte(data), &got); name != "event: counters" || err != nil {
		t.Fatalf("got %q %q, want counters (%v)", name, data, err)
	}
	return got
}

// TestCountersAreToldToThoseWhoAsk: at once and again and again, of what the token may see and no more. Who asks for
// counters alone is told of no attempt, and costs those who end attempts nothing.
func TestCountersAreToldToThoseWhoAsk(t *testing.T) {
	r := newRig(t, setup{live: true, tokens: []Token{token("all", "read"), token("acme", "read", "acme")}})
	var watchers atomic.Int64
	r.sched.mu.Lock()
	r.sched.watched = func() { watchers.Add(1) }
	r.sched.mu.Unlock()
	sums := func(name string) client.Totals {
		t.Helper()
		c, err := client.New(r.server.URL, "secret-of-"+name, r.server.Client())
		if err != nil {
			t.Fatal(err)
		}
		sums, err := c.DestinationTotals(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return sums
	}
	dead := func(name string, n int64) {
		for _, s := range r.sched.Status() {
			if s.Key.Name == name {
				_ = r.sched.set(s.ID, func(d *delivery.Status) { d.Dead = n })
			}
		}
	}
	dead("crm", 5) // of initech
	all, acme := r.follow("?tell=counters", "all"), r.follow("?tell=counters", "acme")
	if watchers.Load() != 0 {
		t.Error("who asks for counters alone has attempts kept for them")
	}
	both := r.follow("?developer=acme&tell=attempts&tell=counters", "all")
	if n := watchers.Load(); n != 1 {
		t.Errorf("%d watch attempts, want 1", n)
	}
	r.sched.Tell(attemptAt("acme", "app", 1))
	first := all.totals(t)
	if want := sums("all"); !reflect.DeepEqual(first, want) {
		t.Errorf("told %+v, want %+v as the list has them", first, want)
	}
	own := acme.totals(t)
	if want := sums("acme"); !reflect.DeepEqual(own, want) || own.Destinations >= first.Destinations {
		t.Errorf("a token of acme is told %+v, want %+v, which is not all of %+v", own, want, first)
	}
	if got := both.totals(t); got.Destinations != first.Destinations {
		t.Errorf("whose attempts are followed has narrowed the counters: %+v", got)
	}
	for name := both.next(); name != "event: attempt"; name = both.next() {
		if name == "" {
			t.Fatal("who asks for both is told of no attempt")
		}
	}
	if got := both.next(); !strings.Contains(got, `"destination":"app"`) {
		t.Errorf("both: %s", got)
	}
	dead("crm", 6)
	for until := time.Now().Add(time.Minute); all.totals(t).Dead24h != first.Dead24h+1; {
		if time.Now().After(until) {
			t.Fatal("counters stay as they were")
		}
	}
	if got := acme.totals(t); !reflect.DeepEqual(got, own) {
		t.Errorf("what happens to others is told to acme: %+v, had %+v", got, own)
	}
	if a := r.do("GET", "/v1/live?tell=everything", "", bearer("all")); a.status != 400 || a.code() != "invalid_parameter" {
		t.Errorf("an unknown thing to tell of: %s", a)
	}
}

// TestCountersOfManyReadersAreCountedOnce: 16 readers who come at a time have destinations gone through once a second.
func TestCountersOfManyReadersAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &countedScheduler{}
		a := &API{Options: Options{Scheduler: s}}
		one, other := &principal{}, &principal{developers: []string{"globex"}}
		for range 16 {
			if got := a.totalsOf(one); got.Pending != 5 || got.States["active"] != 2 {
				t.Fatalf("in all: %+v", got)
			}
			if got := a.totalsOf(other); got.Pending != 2 || got.Destinations != 1 {
				t.Fatalf("of globex: %+v", got)
			}
		}
		if s.n != 1 {
			t.Errorf("destinations were gone through %d times, want once", s.n)
		}
		time.Sleep(countersEvery)
		if a.totalsOf(one); s.n != 2 {
			t.Error("counters are old")
		}
	})
}

// countedScheduler is a scheduler that counts how often it is asked for its destinations.
type countedScheduler struct {
	Scheduler
	n int
}

func (s *countedScheduler) Status() []delivery.Status {
	s.n++
	at := time.Now()
	return []delivery.Status{
		{Key: store.DestinationKey{Developer: "acme", Name: "app"}, State: "active", Pending: 3, OldestPending: at},
		{Key: store.DestinationKey{Developer: "globex", Name: "app"}, State: "active", Pending: 2},
	}
}
