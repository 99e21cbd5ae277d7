package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	// shortest is how many characters of an event's id stand for it at the least: those of
	// its time, to about a minute. 18 characters name one event of a store.
	shortest = 8
	// mostNamed is how many ids are named that one beginning may mean.
	mostNamed = 5
	// longestSearch bounds how many pages of events are looked through for a beginning.
	longestSearch = 20
)

// begins tells whether text is the beginning of an event's id.
func begins(text string) bool {
	if len(text) < shortest || len(text) > 36 {
		return false
	}
	const form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	for i := range len(text) {
		if hex := text[i] >= '0' && text[i] <= '9' || text[i] >= 'a' && text[i] <= 'f'; form[i] == '-' != (text[i] == '-') || form[i] == 'x' && !hex {
			return false
		}
	}
	return true
}

// span is the time in which events were accepted whose ids begin with text.
func span(text string) (since, until time.Time) {
	const low, high = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
	first, _ := event.ParseID(text + low[len(text):]) // begins has looked at it
	last, _ := event.ParseID(text + high[len(text):])
	return first.Time(), last.Time().Add(time.Millisecond)
}

// eventID reads the id of an event, or its beginning where one event that the caller may
// see is meant. store.ErrNotFound: there is none.
func (a *API) eventID(ctx context.Context, who *principal, text string) (event.ID, error) {
	if id, err := event.ParseID(text); err == nil || !begins(text) {
		return id, err
	}
	q := store.EventQuery{Developers: who.developers, Limit: maxLimit}
	if q.Developers != nil && len(q.Developers) == 0 {
		return event.ID{}, store.ErrNotFound
	}
	q.Since, q.Until = span(text)
	var found []event.ID
	for range longestSearch {
		page, err := a.Store.Events(ctx, q)
		if err != nil {
			return event.ID{}, err
		}
		for i := range page.Items {
			if id := page.Items[i].Event.ID; strings.HasPrefix(id.String(), text) {
				found = append(found, id)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" || len(found) > mostNamed {
			break
		}
	}
	switch len(found) {
	case 0:
		return event.ID{}, store.ErrNotFound
	case 1:
		return found[0], nil
	}
	return event.ID{}, ambiguous(text, found)
}

// ambiguous lists what a beginning may mean.
func ambiguous[T fmt.Stringer](text string, meant []T) *ingest.Refusal {
	more := ""
	if len(meant) > mostNamed {
		meant, more = meant[:mostNamed], " and others"
	}
	names := make([]string, len(meant))
	for i, id := range meant {
		names[i] = id.String()
	}
	return refuse(400, "ambiguous_id", fmt.Sprintf("%s is the beginning of several ids: %s%s", text, strings.Join(names, ", "), more))
}

// deliveryID reads the id of a delivery. That of its event may be a beginning, and may
// stand alone where the event has one delivery.
func (a *API) deliveryID(ctx context.Context, who *principal, text string) (store.DeliveryID, error) {
	id, err := store.ParseDeliveryID(text)
	if err == nil {
		return id, nil
	}
	first, rest, more := strings.Cut(text, "_")
	ev, err := a.eventID(ctx, who, first)
	if err != nil {
		return id, err
	}
	if more {
		return store.ParseDeliveryID(ev.String() + "_" + rest)
	}
	q := store.DeliveryQuery{Event: ev, Limit: maxLimit}
	if who.developers != nil {
		if q.Dests = a.Daemon.Names().find(who, "", ""); len(q.Dests) == 0 {
			return id, store.ErrNotFound
		}
	}
	page, err := a.Store.Deliveries(ctx, q)
	switch {
	case err != nil:
		return id, err
	case len(page.Items) == 0:
		return id, store.ErrNotFound
	case len(page.Items) == 1:
		return page.Items[0].ID, nil
	}
	all := make([]store.DeliveryID, len(page.Items))
	for i := range all {
		all[i] = page.Items[i].ID
	}
	return id, ambiguous(text, all)
}

// missing is the answer to an id that stands for nothing, or for more than one thing.
func missing(err error, what string) error {
	if refused, ok := errors.AsType[*ingest.Refusal](err); ok {
		return refused
	}
	if errors.Is(err, store.ErrNotFound) {
		return store.ErrNotFound
	}
	if unreadable := errors.Is(err, event.ErrID) || errors.Is(err, store.ErrDeliveryID); unreadable {
		return notFound("there is no such " + what)
	}
	return err
}
