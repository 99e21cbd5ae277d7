//go:build long

package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail"
	"github.com/seed-51f8da91/fantail/destinations/webhook"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// asDeadly has the test's binary be a daemon that knows webhooks and a kind that ends it.
const asDeadly = "FANTAIL_TEST_DEADLY"

func init() {
	if os.Getenv(asDeadly) == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	os.Exit(fantail.Main(ctx, os.Args[1:], destination.NewRegistry(webhook.Definition(),
		destination.Define("deadly", destination.Traits{}, func() killer { return killer{} }, func(k killer, _ destination.Deps) (destination.Destination, error) { return k, nil }))))
}

// killer ends its process when it is to deliver poison.
type killer struct{}

func (killer) Validate() error { return nil }
func (killer) Close() error    { return nil }

func (killer) Send(_ context.Context, d destination.Delivery) (destination.Receipt, error) {
	if d.Event.Type == "poison" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return destination.Receipt{Answer: "taken"}, nil
}

// mostDeaths is how many daemons one delivery may end: two until it is suspected, five in trials, and those whose
// own record of what was in flight finds it again.
const mostDeaths = 12

// A delivery ends whichever of three daemons makes it, and is adopted by the next (T13). It is dead in the end, and
// the others are delivered. Trials wait a minute at first and longer each time: the test turns that clock on, and
// the daemons are started again as an init would.
func TestADeliveryThatKillsIsDeadInTheEnd(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := layOut(t, servers.PrivatePostgres(t), 3, shape{more: "shutdown_delay: 0s\n"})
	f.migrate()
	for _, d := range f.daemons {
		d.binary, d.env = self, []string{asDeadly + "=1"}
		d.write("developers/evil.yaml", "developer: evil\ndestinations: [{ name: doom, kind: deadly, settings: {} }]\n")
		d.start()
	}
	c := f.connect("test")
	for range rounds(1) {
		l := newLoad(t, 6, f.urls()...)
		l.more(t, 100)
		var moments []time.Time
		deaths, next := 0, 0
		tend := func() {
			for _, d := range f.daemons {
				if !d.ended() {
					continue
				}
				if deaths++; deaths > mostDeaths {
					t.Fatalf("%d daemons have ended", deaths)
				}
				moments = append(moments, time.Now())
				const earlier = `UPDATE fantail.value SET value = convert_to(jsonb_set(convert_from(value, 'UTF8')::jsonb, '{At}', to_jsonb(now() - interval '1 day'))::text, 'UTF8')
					WHERE convert_from(key, 'UTF8') LIKE '%trial/%'`
				if _, err := c.Exec(t.Context(), earlier); err != nil {
					t.Fatal(err)
				}
				d.start()
			}
		}
		handIn := func(kind string) string {
			for key := fmt.Sprint(kind, time.Now().UnixNano()); ; next++ {
				sent, err := f.daemons[next%3].Send(t.Context(), client.SendRequest{Developer: "evil", IdempotencyKey: key, Body: []byte(`{"type":"` + kind + `"}`)})
				if err == nil {
					return sent.ID
				}
				if errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				tend()
			}
		}
		poison, good := handIn("poison"), handIn("good")
		state := func(event string) string {
			for _, d := range f.daemons {
				for one, err := range d.Deliveries(t.Context(), client.DeliveryFilter{Developer: "evil", Event: event}) {
					if err == nil {
						return one.State
					}
				}
			}
			return ""
		}
		until(t, 20*time.Minute, "the delivery that kills is dead", func() bool {
			tend()
			return state(poison) == "dead"
		})
		t.Logf("%d daemons have ended", deaths)
		if deaths < 5 {
			t.Errorf("only %d daemons have ended", deaths)
		}
		until(t, 5*time.Minute, "the other one is delivered", func() bool {
			tend()
			return state(good) == "delivered"
		})
		f.settle(l.end(), moments, inFlight)
	}
}
