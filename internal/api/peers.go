package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/peer"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Peers are the other daemons that work on a shared store.
type Peers interface {
	// Daemons are all of them, this one included; Others those that can be asked.
	Daemons() []store.Daemon
	Others() []store.Daemon
	// Ask asks all the others at a time, and bounds how long that takes.
	Ask(ctx context.Context, q peer.Question) []peer.Answer
	// Stream asks one of them for what has no end.
	Stream(ctx context.Context, o store.Daemon, q peer.Question) (io.ReadCloser, error)
	// Verify is nil for a request that another daemon makes.
	Verify(r *http.Request, body []byte) error
}

const (
	// unanswered is a header that names the daemons whose part an answer lacks.
	unanswered = "Fantail-Unanswered"
	// mostQuestion bounds what another daemon asks.
	mostQuestion = 4 << 20
)

// peerCalls are what daemons ask each other. They are no part of the API that openapi.yaml
// describes: two versions of the program talk to each other, and each leaves out what it does not know.
var peerCalls = map[string]func(*API, *call, []byte) error{
	"/peer/status": (*API).peerStatus,
	"/peer/waits":  (*API).peerWaits,
	"/peer/series": (*API).peerSeries,
	"/peer/live":   (*API).peerLive,
	"/peer/frozen": (*API).peerFrozen,
	"/peer/act":    (*API).peerAct,
}

// fromPeer answers another daemon, and nobody else.
func (a *API) fromPeer(do func(*API, *call, []byte) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := w.(*call)
		if r.Method != http.MethodPost {
			a.fail(c, refuse(405, "method_not_allowed", "allowed here: POST"))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(c.ResponseWriter, a.arriving(c), mostQuestion))
		if err != nil {
			a.fail(c, unread(c, err))
			return
		}
		c.arrived()
		if err := a.Peers.Verify(r, body); err != nil {
			a.fail(c, refuse(401, "unauthorized", err.Error()))
			return
		}
		if err := do(a, c, body); err != nil {
			a.fail(c, err)
		}
	})
}

// question reads what another daemon asks.
func question(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return refuse(400, "invalid_request", "the question cannot be read: "+err.Error())
	}
	return nil
}

// askPeers asks the other daemons and hands each answer to take. The header of c's answer names
// those who did not answer.
func askPeers[T any](a *API, c *call, path string, ask any, patience time.Duration, take func(store.Daemon, T)) {
	if a.Peers == nil || len(a.Peers.Others()) == 0 {
		return
	}
	body, err := json.Marshal(ask)
	if err != nil {
		a.Log.Error("a question to other daemons cannot be written", "path", path, "error", err)
		return
	}
	var silent []string
	for _, answer := range a.Peers.Ask(c.r.Context(), peer.Question{Method: http.MethodPost, Path: path, Body: body, Patience: patience}) {
		var v T
		err := answer.Err
		if err == nil {
			err = json.Unmarshal(answer.Body, &v)
		}
		if err != nil {
			silent = append(silent, answer.Daemon.Name)
			a.silent(answer.Daemon, err)
			continue
		}
		take(answer.Daemon, v)
	}
	c.lacks(silent)
}

// lacks says in the header of an answer whose part is missing.
func (c *call) lacks(silent []string) {
	h := c.Header()
	var named []string
	if all := h.Get(unanswered); all != "" {
		named = strings.Split(all, ", ")
	}
	for _, name := range silent {
		if !slices.Contains(named, name) {
			named = append(named, name)
		}
	}
	if len(named) > 0 {
		h.Set(unanswered, strings.Join(named, ", "))
	}
}

// silent says in the log that a daemon did not answer, once a minute: what is missing is said in every answer.
func (a *API) silent(o store.Daemon, err error) {
	if a.deaf.Take(time.Now()) == 0 {
		a.Log.Warn("another daemon did not answer, and what it alone knows is missing in answers", "daemon", o.Name, "error", err)
	}
}

// daemonView is a daemon as the API shows it.
type daemonView struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	API      string    `json:"api,omitempty"`
	Version  string    `json:"version"`
	Self     bool      `json:"self"`
	Alive    bool      `json:"alive"`
	Started  time.Time `json:"started"`
	Seen     time.Time `json:"seen"`
	Slots    []int     `json:"slots"`
	Offset   float64   `json:"clock_offset_ms"`
	SameKeys bool      `json:"same_keys"`
	Same     bool      `json:"same_files"`
}

// daemons lists the daemons of the store. With the embedded store there is this one alone,
// of which there is nothing to list.
func (a *API) daemons(c *call) error {
	if err := c.whole(); err != nil {
		return err
	}
	list := struct {
		Items []daemonView `json:"items"`
	}{[]daemonView{}}
	if a.Peers == nil {
		return c.json(200, list)
	}
	all := a.Peers.Daemons()
	var own store.Daemon
	for _, d := range all {
		if d.Self {
			own = d
		}
	}
	for _, d := range all {
		list.Items = append(list.Items, daemonView{
			ID: d.ID, Name: d.Name, API: d.API, Version: d.Version, Self: d.Self, Alive: d.Alive, Started: d.Started.UTC(), Seen: d.Seen.UTC(),
			Slots: append([]int{}, d.Slots...), Offset: float64(d.Offset.Microseconds()) / 1000,
			SameKeys: d.Key == own.Key, Same: d.Files == own.Files,
		})
	}
	return c.json(200, list)
}

// peerAction is what a person did at one daemon that others have to do, too. All of it may be
// done twice.
type peerAction struct {
	Do        string // one of the names below
	Dest      uint32
	Developer string
	User      string
	Moved     []letGo
	Options   ReloadOptions
}

const (
	doTry    = "try"    // ends what Dest waits for
	doRebind = "rebind" // what is pending for Dest goes on with current settings
	doForget = "forget" // User of Developer, or all of them
	doMoved  = "moved"  // deliveries were changed
	doReload = "reload" // settings are read again
)

// letGo is a delivery that was pending until a person changed it.
type letGo struct {
	ID  string
	Was store.QueueID
}

// peerActed is what came of it.
type peerActed struct {
	Count int
	Error string
}

func (a *API) peerAct(c *call, body []byte) error {
	var act peerAction
	if err := question(body, &act); err != nil {
		return err
	}
	var done peerActed
	var err error
	switch act.Do {
	case doTry:
		a.Scheduler.TryNow(act.Dest)
	case doRebind:
		done.Count, err = a.Scheduler.Rebind(c.r.Context(), act.Dest)
	case doForget:
		if act.User != "" {
			a.Trail.Forget(act.Developer, act.User)
		}
		a.Scheduler.ForgetAnswers(act.Developer)
	case doMoved:
		var moved []store.Moved
		for _, m := range act.Moved {
			if id, err := store.ParseDeliveryID(m.ID); err == nil {
				moved = append(moved, store.Moved{ID: id, From: store.Pending, To: store.Cancelled, Was: m.Was})
			}
		}
		a.Scheduler.MovedElsewhere(moved)
	case doReload:
		_, failed := a.Daemon.ReloadWith(context.WithoutCancel(c.r.Context()), act.Options)
		if failed != nil {
			done.Error = failed.Error()
		}
	default:
		return refuse(400, "invalid_request", fmt.Sprintf("this version cannot %q", act.Do))
	}
	if err != nil {
		return err
	}
	return c.json(200, done)
}

// tellPeers has the others do the same, and returns the sum of what came of it.
func (a *API) tellPeers(c *call, act peerAction, patience time.Duration, failed func(store.Daemon, string)) (count int) {
	askPeers(a, c, "/peer/act", act, patience, func(o store.Daemon, done peerActed) {
		count += done.Count
		if done.Error != "" && failed != nil {
			failed(o, done.Error)
		}
	})
	return count
}

// move changes deliveries for a person, and has whoever else knows of them let go of them.
func (a *API) move(c *call, change store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	moved, err := a.Scheduler.Move(c.r.Context(), time.Now(), change, ids)
	gone := a.letting(c)
	gone.note(moved)
	gone.tell()
	return moved, err
}

// mostLetGo is how many deliveries one question names: it has to fit into mostQuestion.
const mostLetGo = 10_000

// letting has whoever knows of deliveries that were changed let go of them: another daemon may have
// them in memory, bodies too, and would go on with them.
type letting struct {
	api   *API
	c     *call
	moved []letGo
}

func (a *API) letting(c *call) *letting { return &letting{api: a, c: c} }

// add has this daemon let go at once, and the others soon.
func (l *letting) add(moved []store.Moved) {
	l.api.Scheduler.Moved(moved)
	l.note(moved)
}

func (l *letting) note(moved []store.Moved) {
	if l.api.Peers == nil {
		return
	}
	for i := range moved {
		if moved[i].Err == nil && moved[i].From == store.Pending {
			l.moved = append(l.moved, letGo{moved[i].ID.String(), moved[i].Was})
		}
	}
	if len(l.moved) >= mostLetGo {
		l.tell()
	}
}

// tell tells the others of what was noted and is not told yet.
func (l *letting) tell() {
	for some := range slices.Chunk(l.moved, mostLetGo) {
		l.api.tellPeers(l.c, peerAction{Do: doMoved, Moved: some}, 0, nil)
	}
	l.moved = nil
}
