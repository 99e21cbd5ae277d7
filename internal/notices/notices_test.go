package notices

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// desk takes what notices hand in.
type desk struct {
	mu     sync.Mutex
	bodies []map[string]any
	to     []uint32
	err    error
	log    bytes.Buffer
}

func (d *desk) accept(_ context.Context, rs []ingest.Request) []ingest.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return []ingest.Result{{Err: d.err}}
	}
	var body map[string]any
	if err := json.Unmarshal(rs[0].Body, &body); err != nil {
		panic(err)
	}
	d.bodies, d.to = append(d.bodies, body), append(d.to, rs[0].Only)
	return []ingest.Result{{}}
}

// run starts notices with one target and returns what ends them.
func run(d *desk, r Rules) (*Notices, func()) {
	n := New(d.accept, slog.New(slog.NewTextHandler(&d.log, nil)))
	n.SetRules(r)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { n.Run(ctx); close(done) }()
	return n, func() { cancel(); <-done }
}

var alerts = Rules{Targets: []Target{{Developer: "ops", Name: "alerts", ID: 9}}}

func death(dest string, n uint32) delivery.Notice {
	return delivery.Notice{Name: delivery.DeliveryDead, At: time.Now().UTC(), Reason: "attempts used up",
		Destination: store.DestinationKey{Developer: "acme", Name: dest, Kind: "webhook"}, Delivery: store.DeliveryID{Dest: n}}
}

func TestNoticesGoToTheLogAndToTheirDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		n, stop := run(d, alerts)
		began := time.Now().UTC()
		n.Tell(delivery.Notice{Name: delivery.DestinationHeld, At: began, Reason: "401", Since: began.Add(-time.Hour), Attempts: 12,
			Destination: store.DestinationKey{Developer: "acme", Name: "app", Kind: "webhook"}})
		n.Replayed("acme", "app", began, "id", 3, "made", int64(7))
		synctest.Wait()
		stop()
		if len(d.bodies) != 2 || d.to[0] != 9 {
			t.Fatalf("handed in %v to %v", d.bodies, d.to)
		}
		b := d.bodies[0]
		if b["type"] != "destination.held" || b["developer"] != "acme" || b["destination"] != "app" || b["kind"] != "webhook" || b["reason"] != "401" || b["attempts"] != 12.0 || b["since"] == nil || b["version"] != nil {
			t.Errorf("%v", b)
		}
		if b := d.bodies[1]; b["type"] != "replay.finished" || b["replay"].(map[string]any)["made"] != 7.0 {
			t.Errorf("%v", b)
		}
		for _, want := range []string{"level=WARN msg=destination.held developer=acme destination=app kind=webhook reason=401", "level=INFO msg=replay.finished"} {
			if !strings.Contains(d.log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, &d.log)
			}
		}
	})
}

// A notice about a destination of notices is only logged, whatever it is.
func TestNoticesMakeNoNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		n, stop := run(d, alerts)
		about := death("", 9)
		about.Destination = store.DestinationKey{Developer: "ops", Name: "alerts", Kind: "webhook"}
		n.Tell(about)
		about.Name = delivery.DestinationHeld
		n.Tell(about)
		time.Sleep(2 * time.Minute)
		stop()
		if len(d.bodies) != 0 || strings.Count(d.log.String(), "destination=alerts") != 2 {
			t.Errorf("handed in %v; the log:\n%s", d.bodies, &d.log)
		}
	})
}

func TestOnlyNamedNoticesAreHandedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		n, stop := run(d, Rules{Targets: alerts.Targets, Events: []string{delivery.DestinationResumed}})
		n.Tell(delivery.Notice{Name: delivery.DestinationHeld})
		n.Tell(delivery.Notice{Name: delivery.DestinationResumed})
		synctest.Wait()
		stop()
		if len(d.bodies) != 1 || d.bodies[0]["type"] != "destination.resumed" {
			t.Errorf("handed in %v", d.bodies)
		}
	})
}

func TestDeathsAreToldOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		n, stop := run(d, alerts)
		for i := range 300 { // for five minutes, one a second
			n.Tell(death("app", uint32(i)))
			if i%100 == 0 {
				n.Tell(death("other", 1))
			}
			time.Sleep(time.Second)
		}
		stop()
		count := map[any]float64{}
		told := 0
		for _, b := range d.bodies {
			count[b["destination"]] += b["count"].(float64)
			if b["destination"] == "app" {
				told++
			}
			if ids := b["deliveries"].([]any); len(ids) > deadNamed || len(ids) > int(b["count"].(float64)) {
				t.Errorf("%v", b)
			}
		}
		if count["app"] != 300 || count["other"] != 3 {
			t.Errorf("told of %v", count)
		}
		if told > 5 {
			t.Errorf("%d notices in five minutes", told)
		}
	})
}

// A store that takes nothing for a while loses no notice; one that is told
// after the end stands in the log.
func TestNoticesWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{err: &ingest.Refusal{Status: 503, RetryAfter: time.Second}}
		n, stop := run(d, alerts)
		n.Tell(delivery.Notice{Name: delivery.DestinationHeld})
		time.Sleep(time.Minute)
		d.mu.Lock()
		d.err = nil
		d.mu.Unlock()
		time.Sleep(2 * time.Second)
		stop()
		if len(d.bodies) != 1 {
			t.Errorf("handed in %v", d.bodies)
		}
		n.Tell(death("late", 1))
		if !strings.Contains(d.log.String(), "destination=late") {
			t.Errorf("the log:\n%s", &d.log)
		}
	})
}

// TestSettingsKnowEveryNotice: what notices.events may name is what there is.
func TestSettingsKnowEveryNotice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fantail.yaml")
	if err := os.WriteFile(path, []byte("notices: { destinations: [acme/app], events: [no-such-notice] }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	have := []string{delivery.DestinationHeld, delivery.DestinationResumed, delivery.DestinationFailing, delivery.DeliveryDead, ReplayFinished}
	want := "is no notice: known are " + strings.Join(have, ", ")
	if _, err := config.Load(path, nil); err == nil || !strings.Contains(err.Error()+"\n", want+"\n") {
		t.Errorf("settings say %v, want %q", err, want)
	}
}
