package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// sharing are daemons on one store in memory.
type sharing struct {
	t    *testing.T
	many *storetest.Many
}

func newSharing(t *testing.T) *sharing {
	return &sharing{t, storetest.NewMany(storetest.ManyOptions{Lease: 3 * time.Second})}
}

// home makes the folder of a daemon.
func (s *sharing) home(name, more string) *home {
	h := newHome(s.t)
	h.write("fantail.yaml", fmt.Sprintf("listen: 127.0.0.1:0\nstore: { postgres: { urls: ['postgres://u:p@127.0.0.1:1/x'], name: %s } }\ndevelopers: { store: {} }\nshutdown_delay: 0s\nshutdown_grace: 2s\n%s", name, more))
	h.write("fantail.key", strings.Repeat("k", 32))
	return h
}

func (s *sharing) options(h *home) Options {
	return Options{
		Config: filepath.Join(h.dir, "fantail.yaml"), Kinds: h.kinds(), Version: "test", Log: slog.New(slog.NewTextHandler(h, nil)),
		store: func(a *App) store.Store {
			return s.many.Open(storetest.MemberOptions{Fatal: a.fail, Serial: a.isSerial})
		},
	}
}

// start starts the daemon of a folder.
func (s *sharing) start(h *home) *daemon {
	s.t.Helper()
	return s.startWith(s.options(h))
}

func (s *sharing) startWith(o Options) *daemon {
	s.t.Helper()
	a, err := New(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	c, err := client.New(a.URL(), "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	d := &daemon{Client: c, App: a, stop: sync.OnceValue(func() error { cancel(); return <-ended })}
	s.t.Cleanup(func() {
		if err := d.stop(); err != nil {
			s.t.Errorf("stop: %v", err)
		}
	})
	return d
}

const acmeDocument = "developer: acme\ndestinations:\n  - name: app\n    kind: post\n    settings: { to: %s }\n"

func TestADocumentThatChangesAtOneDaemonIsInForceAtAll(t *testing.T) {
	s := newSharing(t)
	ha, hb := s.home("a", ""), s.home("b", "")
	a, b := s.start(ha), s.start(hb)
	put := func(d *daemon, text string) {
		t.Helper()
		if _, err := d.PutDocument(t.Context(), "acme", []byte(text), client.ChangeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	put(a, fmt.Sprintf(acmeDocument, "first"))
	until(t, "the other daemon has the developer", func() bool { _, size := b.current.Load().snapshot.Size(); return size == 1 })
	if took := time.Since(began); took > lookFor*3/4 { // nobody was told, and looked by itself
		t.Errorf("it took %v", took)
	}
	if got := b.send(t, "acme").Deliveries; got != 1 {
		t.Errorf("an event at the other daemon goes to %d destinations", got)
	}
	until(t, "it delivers", func() bool { return hb.delivered() == "first" })
	put(b, fmt.Sprintf(acmeDocument, "second")) // over what it follows
	until(t, "the first daemon follows", func() bool {
		return a.current.Load().snapshot.Find("acme", "app").Hash == b.current.Load().snapshot.Find("acme", "app").Hash
	})
	if _, err := a.Client.RemoveDeveloper(t.Context(), "acme", "keep", client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the developer is gone at the other daemon, too", func() bool { return b.current.Load().snapshot.Developers["acme"] == nil })
	acts, err := a.trail.Acts(t.Context(), store.ActQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	states := 0
	for _, act := range acts.Items {
		if act.State != "" {
			states++
		}
	}
	if states != 2 { // active, removed
		t.Errorf("%d acts say how a destination stands: a daemon that follows notes nothing: %+v", states, acts.Items)
	}
}

// Whoever has missed more changes than are kept looks at every document.
func TestADaemonThatMissedChangesFindsThem(t *testing.T) {
	s := newSharing(t)
	a := s.start(s.home("a", ""))
	b := s.start(s.home("b", ""))
	b.reloading.Lock() // it follows nothing for now
	for i := range mostChanged + 10 {
		id := fmt.Sprintf("dev%d", i)
		if _, err := a.PutDocument(t.Context(), id, []byte(strings.Replace(fmt.Sprintf(acmeDocument, "x"), "acme", id, 1)), client.ChangeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b.reloading.Unlock()
	until(t, "it has all of them", func() bool { n, _ := b.current.Load().snapshot.Size(); return n == mostChanged+10 })
}

func TestDaemonsSayWhereTheyDiffer(t *testing.T) {
	s := newSharing(t)
	hb := s.home("b", "")
	a, b := s.start(s.home("a", "")), s.start(hb)
	warned := func(d *daemon, text string) func() bool {
		return func() bool {
			_, warnings := d.Health()
			return slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, text) })
		}
	}
	until(t, "they know each other", func() bool { return len(a.peers.Others()) == 1 && len(b.peers.Others()) == 1 })
	if _, warnings := a.Health(); len(warnings) > 0 {
		t.Errorf("warnings of daemons that are alike: %v", warnings)
	}
	text := "listen: 127.0.0.1:0\nstore: { postgres: { urls: ['postgres://u:p@127.0.0.1:1/x'], name: b } }\ndevelopers: { store: {} }\nshutdown_delay: 0s\nshutdown_grace: 2s\n"
	hb.write("fantail.yaml", text+"retention: { events: 200h }\n")
	if _, err := b.App.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the other daemon's files differ", warned(a, "daemon b runs on other files"))
	until(t, "and seen from there", warned(b, "daemon a runs on other files"))
	hb.write("fantail.yaml", text+"keys: [\"${file:other.key}\", \"${file:fantail.key}\"]\n")
	hb.write("other.key", strings.Repeat("o", 32))
	if _, err := b.App.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the other daemon's keys differ", warned(a, "daemon b has other keys"))
	hb.write("fantail.yaml", text)
	if _, err := b.App.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "they are alike again", func() bool { _, warnings := a.Health(); return len(warnings) == 0 })
}

// A daemon with another key than the others would take events that they could deliver, and keep them
// without a destination.
func TestADaemonWithAnotherKeyThanTheOthersDoesNotStart(t *testing.T) {
	s := newSharing(t)
	a, hb := s.start(s.home("a", "")), s.home("b", "")
	hb.write("fantail.key", strings.Repeat("z", 32))
	if _, err := a.PutDocument(t.Context(), "acme", fmt.Appendf(nil, acmeDocument, "x"), client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "a has said who it is", func() bool {
		return slices.ContainsFunc(a.peers.Daemons(), func(d store.Daemon) bool { return d.Name == "a" })
	})
	if _, err := New(t.Context(), s.options(hb)); err == nil || !strings.Contains(err.Error(), "the same key files") {
		t.Fatalf("it started: %v", err)
	}
	hb.write("fantail.key", strings.Repeat("k", 32))
	b := s.start(hb)
	hb.write("fantail.key", strings.Repeat("z", 32))
	until(t, "b knows of a", func() bool { return len(b.peers.Others()) == 1 })
	if _, err := b.App.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "the same key files") {
		t.Errorf("it was reloaded: %v", err)
	}
	if n, _ := b.current.Load().snapshot.Size(); n != 1 {
		t.Errorf("%d developers are in force", n)
	}
}

// A session, a destination as it runs and a stream are the same whichever daemon is asked.
func TestAnyDaemonAnswersForAll(t *testing.T) {
	s := newSharing(t)
	ha, hb := s.home("a", ""), s.home("b", "")
	a, b := s.start(ha), s.start(hb)
	if _, err := a.PutDocument(t.Context(), "acme", fmt.Appendf(nil, acmeDocument, "x"), client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "both have the developer", func() bool { _, size := b.current.Load().snapshot.Size(); return size == 1 })
	until(t, "they know each other", func() bool { return len(a.peers.Others()) == 1 && len(b.peers.Others()) == 1 })
	b.send(t, "acme")
	until(t, "it is delivered", func() bool { return hb.delivered() == "x" })
	until(t, "the daemon that did not deliver says when the last attempt succeeded", func() bool {
		for d, err := range a.Destinations(t.Context(), "acme", "") {
			return err == nil && !d.LastSuccess.IsZero()
		}
		return false
	})
	var names []string
	all, err := a.Daemons(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		names = append(names, fmt.Sprint(d.Name, d.Self, d.Alive, d.SameKeys, d.SameFiles))
	}
	if got := strings.Join(names, " "); got != "atrue true true true bfalse true true true" {
		t.Errorf("daemons: %s", got)
	}
}

// One daemon has each duty, and the other takes it over.
func TestADutyIsOneDaemons(t *testing.T) {
	s := newSharing(t)
	a, b := s.start(s.home("a", "")), s.start(s.home("b", ""))
	for _, name := range []string{dutyRetention, dutyChecks, dutyHealthcheck, dutyReplays} {
		if mine, theirs := a.duty(name)(t.Context()), b.duty(name)(t.Context()); mine == theirs {
			t.Errorf("%s: %t and %t", name, mine, theirs)
		}
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dutyRetention, dutyChecks} {
		until(t, "the duty of "+name+" is taken over", func() bool { return b.duty(name)(t.Context()) })
	}
}

// Whoever is asked makes, shows and cancels a replay; the daemon whose duty it is runs it, and whoever
// takes the duty over goes on with it.
func TestAReplayIsRunByOneDaemonAndOwnedByAll(t *testing.T) {
	s := newSharing(t)
	ha, hb := s.home("a", ""), s.home("b", "")
	a, b := s.start(ha), s.start(hb)
	if _, err := a.PutDocument(t.Context(), "acme", fmt.Appendf(nil, acmeDocument, "x"), client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "both have the developer", func() bool { _, size := b.current.Load().snapshot.Size(); return size == 1 })
	for range 6 {
		a.send(t, "acme")
	}
	until(t, "they are delivered", func() bool { return strings.Count(ha.delivered(), "x") == 6 })
	holder, other := a, b
	if b.duty(dutyReplays)(t.Context()) {
		holder, other = b, a
	}
	made, err := other.Client.Replay(t.Context(), client.ReplayRequest{Developer: "acme", States: []string{"delivered"}, Rate: 100})
	if err != nil {
		t.Fatal(err)
	}
	if shown, err := holder.GetReplay(t.Context(), made.ID); err != nil || shown.ID != made.ID {
		t.Errorf("at once, at the other daemon: %+v, %v", shown, err)
	}
	for _, d := range []*daemon{a, b} {
		until(t, "it has ended for both", func() bool {
			r, err := d.GetReplay(t.Context(), made.ID)
			return err == nil && r.State == "finished" && r.Made == 6
		})
	}
	until(t, "it is delivered once more", func() bool { return strings.Count(ha.delivered()+hb.delivered(), "x") == 12 })
	slow, err := other.Client.Replay(t.Context(), client.ReplayRequest{Developer: "acme", States: []string{"delivered"}, Rate: 0.001})
	if err != nil {
		t.Fatal(err)
	}
	if slow.ID == made.ID {
		t.Error("two replays have one id")
	}
	until(t, "it runs", func() bool {
		r, err := other.GetReplay(t.Context(), slow.ID)
		return err == nil && r.State == "running"
	})
	if err := holder.stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "the other daemon goes on with it", func() bool { return other.duty(dutyReplays)(t.Context()) })
	cancelled, err := other.CancelReplay(t.Context(), slow.ID)
	if err != nil || cancelled.State != "cancelled" {
		t.Errorf("cancelled: %+v, %v", cancelled, err)
	}
}

// Two daemons that share a folder of what is each one's own would mix it up.
func TestAFolderIsOneDaemons(t *testing.T) {
	s := newSharing(t)
	h := s.home("a", "")
	s.start(h)
	_, err := New(t.Context(), Options{
		Config: filepath.Join(h.dir, "fantail.yaml"), Kinds: h.kinds(), Log: slog.New(slog.NewTextHandler(h, nil)),
		store: func(a *App) store.Store { return s.many.Open(storetest.MemberOptions{Fatal: a.fail}) },
	})
	if err == nil || !strings.Contains(err.Error(), "another daemon uses the folder") {
		t.Errorf("a second daemon in one folder: %v", err)
	}
}

// Plots go on where a daemon has ended.
func TestPlotsGoOnAtWhoeverComesNext(t *testing.T) {
	s := newSharing(t)
	a, b := s.start(s.home("a", "")), s.start(s.home("b", ""))
	if a.seriesKey == b.seriesKey || a.seriesKey == "" || b.seriesKey == "" {
		t.Fatalf("%q and %q", a.seriesKey, b.seriesKey)
	}
	was := a.seriesKey
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	if c := s.start(s.home("c", "")); c.seriesKey != was {
		t.Errorf("whoever comes next has %q, want %q", c.seriesKey, was)
	}
}

// Rates at the intake are those of all daemons together.
func TestRatesAreOfAllDaemonsTogether(t *testing.T) {
	s := newSharing(t)
	const limits = "limits: { per_developer: { rate: 40/s } }\n"
	a, b := s.start(s.home("a", limits)), s.start(s.home("b", limits))
	if _, err := a.PutDocument(t.Context(), "acme", fmt.Appendf(nil, acmeDocument, "x"), client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "both have the developer and know each other", func() bool {
		_, size := b.current.Load().snapshot.Size()
		_, n := a.shared.Share()
		_, m := b.shared.Share()
		return size == 1 && n == 2 && m == 2
	})
	line, err := client.AppendLine(nil, client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)})
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Repeat(line, 60)
	for _, d := range []*daemon{a, b} {
		accepted, began := 0, time.Now()
		for r, err := range d.SendBatch(t.Context(), lines) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Err == nil {
				accepted++
			}
		}
		if most := 21 + int(20*time.Since(began).Seconds()); accepted < 20 || accepted > most {
			t.Errorf("one of two daemons accepts %d events at once, want 20 of 40 a second", accepted)
		}
	}
}

// What is accepted at one daemon and delivered by another is counted as accepted where it was, once.
func TestWhatIsServedElsewhereCountsAsAccepted(t *testing.T) {
	s := newSharing(t)
	ha, hb := s.home("a", ""), s.home("b", "")
	a, b := s.start(ha), s.start(hb)
	serial := fmt.Sprintf(acmeDocument, "x") + "    max_in_flight: 1\n"
	if _, err := a.PutDocument(t.Context(), "acme", []byte(serial), client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "both have the developer", func() bool { _, size := b.current.Load().snapshot.Size(); return size == 1 })
	for range 3 {
		a.send(t, "acme")
		b.send(t, "acme")
	}
	until(t, "all are delivered", func() bool { return strings.Count(ha.delivered()+hb.delivered(), "x") == 6 })
	if ha.delivered() != "" && hb.delivered() != "" {
		t.Errorf("a destination that one daemon serves was served by both")
	}
	for _, d := range []*daemon{a, b} {
		text, err := d.Metrics(t.Context())
		if err != nil || !strings.Contains(string(text), `fantail_usage_deliveries_total{developer="acme",state="accepted"} 3`) {
			t.Errorf("each daemon accepted 3 deliveries; %v:\n%s", err, regexp.MustCompile(`(?m)^fantail_usage_.*`).FindAllString(string(text), -1))
		}
	}
}
