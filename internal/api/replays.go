package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/replay"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Replays makes deliveries again.
type Replays interface {
	Create(ctx context.Context, r replay.Request) (replay.Replay, error)
	Get(id uint32) (replay.Replay, error)
	List() []replay.Replay // newest first
	Cancel(ctx context.Context, id uint32) (replay.Replay, error)
}

// replayRequest asks for a replay.
type replayRequest struct {
	Developer   string   `json:"developer"`
	Destination string   `json:"destination"`
	Events      []string `json:"events"`
	Types       []string `json:"types"`
	Users       []string `json:"users"`
	States      []string `json:"states"`
	Since       string   `json:"since"`
	Until       string   `json:"until"`
	All         bool     `json:"all"`
	Rate        *float64 `json:"rate"`
	DryRun      bool     `json:"dry_run"`
}

func (r *replayRequest) filter() (f replay.Filter, err error) {
	f = replay.Filter{Developer: r.Developer, Destination: r.Destination, Types: r.Types, Users: r.Users, States: r.States}
	if r.Developer == "" && !r.All {
		return f, refuse(400, "unbounded", `say which developer is meant, or "all": true`)
	}
	var since, until *ingest.Refusal
	f.Since, since = parseTime("since", r.Since)
	f.Until, until = parseTime("until", r.Until)
	switch {
	case since != nil:
		return f, since
	case until != nil:
		return f, until
	}
	return f, nil
}

// eventsOf reads the ids of the events that a request names. Each is one that the caller may see, of the
// developer whom the request names.
func (a *API) eventsOf(c *call, r *replayRequest) (ids []event.ID, err error) {
	if len(r.Events) > replay.MostEvents {
		return nil, refuse(400, "invalid_request", fmt.Sprintf("at most %d events", replay.MostEvents))
	}
	for _, text := range r.Events {
		id, err := event.ParseID(text) // whole: a beginning is looked for among many
		if err != nil {
			return nil, missing(err, "event")
		}
		e, err := a.Store.EventRecord(c.r.Context(), id)
		if err != nil {
			return nil, missing(err, "event")
		}
		if of := e.Event.Developer; !c.who.sees(of) || r.Developer != "" && of != r.Developer {
			return nil, store.ErrNotFound
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (a *API) createReplay(c *call) error {
	var r replayRequest
	if err := a.decode(c, &r); err != nil {
		return err
	}
	c.about(r.Developer, r.Destination)
	rate := float64(replay.DefaultRate)
	if r.Rate != nil {
		rate = *r.Rate
	}
	if rate <= 0 {
		return refuse(400, "invalid_request", "the rate is above 0")
	}
	f, err := r.filter()
	if err != nil {
		return err
	}
	if r.Developer == "" {
		if err := c.whole(); err != nil {
			return err
		}
	} else if !c.who.sees(r.Developer) {
		return notYours(c.who)
	}
	if f.Events, err = a.eventsOf(c, &r); err != nil {
		return err
	}
	p, err := a.Replays.Create(c.r.Context(), replay.Request{Filter: f, Rate: rate, DryRun: r.DryRun, By: c.who.author()})
	switch {
	case errors.Is(err, replay.ErrInvalid):
		return refuse(400, "invalid_request", err.Error())
	case errors.Is(err, replay.ErrUnknown):
		return notFound("the settings have no such destination")
	case errors.Is(err, replay.ErrBusy):
		return &ingest.Refusal{Status: 429, Code: "too_many_replays", Message: err.Error() + ": wait for one to end, or cancel one", RetryAfter: time.Minute}
	case err != nil:
		return err
	}
	c.idle = r.DryRun
	c.about(r.Developer, cmp.Or(r.Destination, "all")+" (replay "+strconv.FormatUint(uint64(p.ID), 10)+")")
	return c.json(201, a.viewReplay(c, p))
}

// listReplays lists what is remembered; a cursor is the last id of the page before. A count is nothing
// that happened to anybody: each question of the console and of the CLI would leave a row.
func (a *API) listReplays(c *call) error {
	q := &c.query
	limit, before := q.limit(), uint64(1<<32)
	if s := q.text("cursor"); s != "" {
		var err error
		if before, err = strconv.ParseUint(s, 10, 32); err != nil || before == 0 || strconv.FormatUint(before, 10) != s {
			return store.ErrCursor
		}
	}
	if q.err != nil {
		return q.err
	}
	developer := q.text("developer")
	all := slices.DeleteFunc(a.Replays.List(), func(p replay.Replay) bool {
		return !shows(c.who, &p) || p.DryRun && p.State != replay.Running || developer != "" && p.Developer != developer || uint64(p.ID) >= before
	})
	next := ""
	if len(all) > limit {
		all = all[:limit]
		next = strconv.FormatUint(uint64(all[limit-1].ID), 10)
	}
	return c.json(200, pageOf(store.Page[replay.Replay]{Items: all, Next: next}, func(p *replay.Replay) replay.Replay { return a.viewReplay(c, *p) }))
}

// viewReplay is p as the caller may read it.
func (a *API) viewReplay(c *call, p replay.Replay) replay.Replay {
	p.By = a.nameFor(c.who, p.By, "")
	return p
}

// shows tells whether who may see p: one of all developers belongs to those who may see all.
func shows(who *principal, p *replay.Replay) bool {
	return who.developers == nil || p.Developer != "" && who.sees(p.Developer)
}

// replayOf returns the replay that the path names, if the caller may see it.
func (a *API) replayOf(c *call) (replay.Replay, error) {
	id, err := strconv.ParseUint(c.r.PathValue("id"), 10, 32)
	if err != nil {
		return replay.Replay{}, notFound("there is no such replay")
	}
	p, err := a.Replays.Get(uint32(id))
	if err != nil || !shows(c.who, &p) {
		return replay.Replay{}, notFound("there is no such replay, or it is forgotten")
	}
	return p, nil
}

func (a *API) getReplay(c *call) error {
	p, err := a.replayOf(c)
	if err != nil {
		return err
	}
	return c.json(200, a.viewReplay(c, p))
}

func (a *API) cancelReplay(c *call) error {
	p, err := a.replayOf(c)
	if err != nil {
		return err
	}
	c.about(p.Developer, "replay "+strconv.FormatUint(uint64(p.ID), 10))
	p, err = a.Replays.Cancel(c.r.Context(), p.ID)
	if errors.Is(err, replay.ErrEnded) {
		return refuse(409, "conflict", "the replay is "+string(p.State)+" already")
	}
	if err != nil {
		return err
	}
	return c.json(200, a.viewReplay(c, p))
}
