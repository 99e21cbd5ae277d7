package gcs

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// rig is a destination with a bucket.
type rig struct {
	testing.TB
	*gcptest.Google
	destination.Destination
}

func newRig(tb testing.TB, change func(*Config)) *rig {
	tb.Helper()
	g := gcptest.Start(tb)
	c := defaults()
	c.Bucket, c.Endpoint, c.AllowHTTP = "acme", g.URL, true
	c.Credentials = secret.New(g.Account(tb, "fantail", gcptest.Create, gcptest.Get, gcptest.Delete))
	change(&c)
	deps := g.Deps(tb)
	deps.Log = slog.New(slog.DiscardHandler)
	return &rig{tb, g, opened(tb, c, deps)}
}

func unchanged(*Config) {}

var accepted = time.Date(2026, 7, 1, 9, 12, 33, 0, time.UTC)

// made is the delivery of an event accepted n milliseconds later than others.
func made(tb testing.TB, n int, body string) destination.Delivery {
	tb.Helper()
	env, err := event.Parse([]byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	at := accepted.Add(time.Duration(n) * time.Millisecond)
	id := event.NewID(at, 0, uint64(n))
	return destination.Delivery{ID: id.String() + "_7", Attempt: 1, Event: &event.Event{
		ID: id, Developer: "acme", Reference: "r", Ordering: at, Envelope: env, Body: []byte(body),
	}}
}

// sends sends and expects success.
func (r *rig) sends(d destination.Delivery) destination.Receipt {
	r.Helper()
	receipt, err := r.Send(r.Context(), d)
	if err != nil {
		r.Fatalf("send %s: %v", d.ID, err)
	}
	return receipt
}

// fails sends and expects a failure.
func (r *rig) fails(d destination.Delivery, want destination.Class) error {
	r.Helper()
	_, err := r.Send(r.Context(), d)
	if err == nil {
		r.Fatal("it succeeded")
	}
	if got, _ := destination.ClassOf(err); got != want {
		r.Errorf("%v is %v, want %v", err, got, want)
	}
	return err
}

// keys are those of all objects.
func (r *rig) keys() []string {
	r.Helper()
	return slices.Sorted(maps.Keys(r.Objects(r, "acme")))
}

// holds expects exactly these bodies, by key.
func (r *rig) holds(want map[string]string) {
	r.Helper()
	got := map[string]string{}
	for key, o := range r.Objects(r, "acme") {
		got[key] = string(o.Content)
	}
	if !maps.Equal(got, want) {
		r.Errorf("the bucket holds %s, want %s", text(got), text(want))
	}
}

func text(m map[string]string) (s string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s += fmt.Sprintf("\n%s: %.200s", k, m[k])
	}
	return s
}
