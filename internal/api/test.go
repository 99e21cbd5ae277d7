package api

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/generate"
)

// testPrefix begins the reference of a test event, so that receivers can tell.
const testPrefix = "fantail-test-"

// testView says that a test event is on disk, and which delivery to watch.
type testView struct {
	ID          event.ID         `json:"id"`
	Reference   string           `json:"reference"`
	Delivery    store.DeliveryID `json:"delivery"`
	Destination destinationView  `json:"destination"`
}

// test accepts an event for one destination alone, whatever types that wants. It is
// stored, delivered, retried, logged and counted like any other, with one difference:
// it goes out also while the far side has asked to be left alone. The event is the
// body, or made up.
func (a *API) test(c *call) error {
	q := &c.query
	if err := errors.Join(checkEncoding(c.r), a.header.none(c.r)); err != nil {
		return err
	}
	d, err := a.destinationOf(c)
	if err != nil {
		return err
	}
	if err := a.Ingest.Ready(); err != nil {
		return err
	}
	held := a.memory.hold(c.who, d.Key.Developer)
	defer held.release()
	body, err := a.readBody(c, &held)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		if body, err = madeUp(q, q.text("type")); err != nil {
			return err
		}
	} else if len(q.values) > 0 {
		return refuse(400, "invalid_request", "the body is the event: type, provider, user and seed are for one that is made up")
	}
	result := a.Ingest.Accept(c.r.Context(), []ingest.Request{{
		Developer: d.Key.Developer, Reference: testPrefix + uuid.NewString(), Body: body, Only: d.ID,
	}})[0]
	if result.Err != nil {
		a.counts.turnedAway(result.Err)
		return result.Err
	}
	a.counts.taken(false)
	a.Scheduler.TryNow(d.ID)
	a.tellPeers(c, peerAction{Do: doTry, Dest: d.ID}, 0, nil)
	if tried, err := a.destinationOf(c); err == nil {
		d = tried
	}
	a.did(c, "test event accepted", d.Key)
	return c.json(202, testView{
		result.ID, result.Reference, store.DeliveryID{Day: result.ID.Day(), Event: result.ID, Dest: d.ID}, a.everywhere(c, []delivery.Status{d})[0],
	})
}

// exampleEvent makes an event up, and stores nothing.
func (a *API) exampleEvent(c *call) error {
	body, err := madeUp(&c.query, c.r.PathValue("type"))
	if err != nil {
		return err
	}
	c.send(200, asJSON, body)
	return nil
}

// madeUp is an event as the query wants it; "" is any type.
func madeUp(q *query, typ string) ([]byte, error) {
	seed := rand.Uint64()
	if s := q.text("seed"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, refuse(400, "invalid_parameter", "seed is a number from 0 to 2^64-1")
		}
		seed = n
	}
	for _, name := range []string{"provider", "user"} {
		if len(q.text(name)) > 256 {
			return nil, refuse(400, "invalid_parameter", name+" has more than 256 bytes")
		}
	}
	g, err := generate.New(seed)
	if err != nil {
		return nil, err
	}
	if typ == "" {
		typ = "activity"
	}
	body, err := g.Event(generate.Request{Type: typ, Provider: q.text("provider"), User: q.text("user"), At: time.Now()})
	if err != nil {
		return nil, refuse(400, "unknown_type", fmt.Sprintf("%v; send an event of your own as the body", err))
	}
	return body, nil
}
