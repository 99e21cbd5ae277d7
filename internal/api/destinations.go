package api

import (
	"cmp"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// destinationView is a destination as the API shows it.
type destinationView struct {
	Developer     string    `json:"developer"`
	Name          string    `json:"name"`
	Kind          string    `json:"kind"`
	State         string    `json:"state"`
	Reason        string    `json:"reason,omitempty"`
	Since         time.Time `json:"since,omitzero"`
	WaitsFor      string    `json:"waits_for,omitempty"`
	WaitsUntil    time.Time `json:"waits_until,omitzero"`
	Pending       int64     `json:"pending"`
	OldestPending time.Time `json:"oldest_pending,omitzero"`
	InFlight      int       `json:"in_flight"`
	Breaker       string    `json:"breaker"`

	LastSuccess time.Time   `json:"last_success,omitzero"`
	LastAnswer  *answerView `json:"last_answer,omitempty"`
	Failed      int         `json:"failed_attempts"`
	Dead        int64       `json:"dead_24h"`

	Check    *checkView    `json:"check,omitempty"`
	Outcomes *outcomesView `json:"outcomes_24h,omitempty"`
}

// answerView is how an attempt ended.
type answerView struct {
	At     time.Time `json:"at"`
	Class  string    `json:"class"`
	Code   int       `json:"code"`
	Answer string    `json:"answer,omitempty"`
	Fault  string    `json:"fault,omitempty"`
}

func viewAnswer(a *store.Answer) *answerView {
	if a.At == 0 {
		return nil
	}
	return &answerView{wall(a.At), a.Class, a.Code, a.Text, a.Fault}
}

func viewDestination(s *delivery.Status) destinationView {
	v := destinationView{
		Developer: s.Key.Developer, Name: s.Key.Name, Kind: s.Key.Kind, State: s.State, Reason: s.Reason,
		Since: s.Since, WaitsUntil: s.WaitsUntil, Pending: s.Pending, OldestPending: s.OldestPending, InFlight: s.InFlight, Breaker: s.Breaker,
		LastSuccess: wall(s.Last.Success), LastAnswer: viewAnswer(&s.Last.Answer), Failed: s.Last.Failed, Dead: s.Dead,
	}
	if w := &s.Wait; w.For != delivery.WaitRate { // a rate that the settings ask for is no trouble
		v.WaitsFor = w.For
		if v.WaitsUntil.IsZero() {
			v.WaitsUntil = w.Until
		}
	}
	if !v.Since.IsZero() {
		v.Since = v.Since.UTC()
	}
	if !v.OldestPending.IsZero() {
		v.OldestPending = v.OldestPending.UTC()
	}
	return v
}

// destinationOf returns the destination that the path names. Of several kinds
// that had the name it is the one in the settings; what was removed from them
// altogether can be neither paused nor resumed.
func (a *API) destinationOf(c *call) (delivery.Status, error) {
	return a.destinationNamed(c.who, c.r.PathValue("developer"), c.r.PathValue("destination"))
}

func (a *API) destinationNamed(who *principal, developer, name string) (delivery.Status, error) {
	if who.sees(developer) {
		for _, s := range a.Scheduler.Status() {
			if s.Key.Developer == developer && s.Key.Name == name && s.State != "removed" {
				return s, nil
			}
		}
	}
	return delivery.Status{}, notFound("there is no such destination")
}

// pauseRequest is the optional body of a pause.
type pauseRequest struct {
	Reason string `json:"reason"`
}

func (a *API) pause(c *call) error {
	var req pauseRequest
	if err := a.decode(c, &req); err != nil {
		return err
	}
	if err := c.because(req.Reason); err != nil {
		return err
	}
	d, err := a.destinationOf(c)
	if err != nil {
		return err
	}
	if err := a.Scheduler.Pause(c.r.Context(), d.ID, cmp.Or(c.act.Reason, "paused by "+c.who.signature())); err != nil {
		return err
	}
	c.act.State = "paused"
	a.did(c, "destination paused", d.Key)
	return a.showDestination(c)
}

func (a *API) resume(c *call) error {
	if err := a.decode(c, &struct{}{}); err != nil {
		return err
	}
	d, err := a.destinationOf(c)
	if err != nil {
		return err
	}
	if err := a.Scheduler.Resume(c.r.Context(), d.ID); err != nil {
		return err
	}
	c.act.State = "active"
	a.tellPeers(c, peerAction{Do: doTry, Dest: d.ID}, 0, nil)
	a.did(c, "destination resumed", d.Key)
	return a.showDestination(c)
}

// rebindPatience is how long another daemon may take to rebind what it has pending.
const rebindPatience = 10 * time.Second

func (a *API) rebind(c *call) error {
	if err := a.decode(c, &struct{}{}); err != nil {
		return err
	}
	d, err := a.destinationOf(c)
	if err != nil {
		return err
	}
	n, err := a.Scheduler.Rebind(c.r.Context(), d.ID)
	if err != nil {
		return err
	}
	n += a.tellPeers(c, peerAction{Do: doRebind, Dest: d.ID}, rebindPatience, nil)
	a.did(c, "deliveries rebound to current settings", d.Key)
	return c.json(200, struct {
		Rebound int `json:"rebound"`
	}{n})
}

// showDestination answers with the destination as it stands now.
func (a *API) showDestination(c *call) error {
	d, err := a.destinationOf(c)
	if err != nil {
		return err
	}
	return c.json(200, a.everywhere(c, []delivery.Status{d})[0])
}

// did logs what a person did to a destination.
func (a *API) did(c *call, what string, key store.DestinationKey) {
	about := []any{"developer", key.Developer, "destination", key.Name, "by", c.who.name}
	if c.act.Reason != "" {
		about = append(about, "reason", c.act.Reason)
	}
	a.Log.Info(what, about...)
}
