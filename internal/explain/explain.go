// Package explain says who would get an event, and what exactly: the request that the
// daemon would make, without credentials. It makes no connection.
package explain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// The decisions.
const (
	Sends    = "sends"
	Waits    = "waits"    // the delivery is made, and goes out later
	Filtered = "filtered" // it does not want the type
	Fails    = "fails"    // the request cannot be made
)

// Result is what one destination would do with an event.
type Result struct {
	Developer   string                   `json:"developer"`
	Destination string                   `json:"destination"`
	Kind        string                   `json:"kind"`
	Decision    string                   `json:"decision"`
	Reason      string                   `json:"reason,omitempty"`
	Request     *destination.Explanation `json:"request,omitempty"`
}

// ErrOffline is what whoever tries to connect gets.
var ErrOffline = errors.New("explain makes no connections")

// One says what d, whose id is id, would do with ev. agent is the User-Agent.
func One(daemon *config.Daemon, d *config.Destination, id uint32, ev *event.Event, agent string) Result {
	x := Result{Developer: d.Developer, Destination: d.Name, Kind: d.Kind, Decision: Filtered}
	if !d.Matches(ev.Type) {
		x.Reason = fmt.Sprintf("events: [%s] does not include %s", strings.Join(d.Events, ", "), ev.Type)
		return x
	}
	return Delivery(daemon, d, store.DeliveryID{Day: ev.ID.Day(), Event: ev.ID, Dest: id}.String(), ev, agent)
}

// Delivery says what d does with a delivery that exists, whatever types it wants now.
func Delivery(daemon *config.Daemon, d *config.Destination, id string, ev *event.Event, agent string) Result {
	x := Result{Developer: d.Developer, Destination: d.Name, Kind: d.Kind, Decision: Sends}
	if !d.Enabled {
		x.Decision, x.Reason = Waits, "enabled: false; the delivery is made and goes out once it is enabled"
	}
	request, err := requestOf(daemon, d, id, ev, agent)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		x.Reason = strings.TrimPrefix(x.Reason+"; ", "; ") + "destinations of kind " + d.Kind + " cannot show their requests"
	case err != nil:
		x.Decision, x.Reason = Fails, err.Error()
	default:
		x.Request = &request
	}
	return x
}

func requestOf(daemon *config.Daemon, d *config.Destination, id string, ev *event.Event, agent string) (destination.Explanation, error) {
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, ErrOffline }
	client := exchange.NewPool(refuse, exchange.Limits{}).Client(d.Developer, nil)
	deps := destination.Deps{
		Log: slog.New(slog.DiscardHandler), Exchange: client, HTTP: client.HTTP(),
		Dial: refuse, Brand: daemon.Brand, UserAgent: agent, Catalogue: daemon.Catalogue,
	}
	if daemon.Payloads.Kept() {
		deps.Payloads = noPayloads{}
	}
	if d.Ambient {
		deps.Ambient, deps.Metadata = true, deps.HTTP
	}
	dest, err := d.Open(deps)
	if err != nil {
		return destination.Explanation{}, err
	}
	defer dest.Close()
	explainer, ok := dest.(destination.Explainer)
	if !ok {
		return destination.Explanation{}, errors.ErrUnsupported
	}
	return explainer.Explain(destination.Delivery{
		ID: id, Attempt: 1, Event: ev,
	})
}

// noPayloads stands in for the payload store: a link that works would be a
// credential on a screen.
type noPayloads struct{}

func (noPayloads) Put(context.Context, string, event.Payload) error { return ErrOffline }

func (noPayloads) Link(_ context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	return destination.Link{URL: "https://payloads.invalid/" + developer + "/" + id + ".json?signature=redacted", Expires: time.Now().Add(ttl)}, nil
}
