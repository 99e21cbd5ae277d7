package api

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// actView is an act as the API shows it.
type actView struct {
	At        time.Time `json:"at"`
	By        string    `json:"by,omitempty"`
	Via       string    `json:"via,omitempty"`
	From      string    `json:"from,omitempty"`
	Call      string    `json:"call"`
	Developer string    `json:"developer,omitempty"`
	Object    string    `json:"object,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Result    string    `json:"result"`
	State     string    `json:"state,omitempty"`
	Count     int       `json:"count"`
}

func viewAct(a *store.Act) actView {
	return actView{wall(a.At), a.By, a.Via, a.From, a.Call, a.Developer, a.Object, a.Reason, a.Result, a.State, max(a.Count, 1)}
}

// listChanges lists who did what, newest first.
func (a *API) listChanges(c *call) error {
	q := &c.query
	aq := store.ActQuery{
		Developers: c.who.developers, By: q.text("by"), Call: q.text("call"),
		Since: q.time("since"), Until: q.time("until"), Limit: q.limit(), Cursor: q.text("cursor"),
	}
	if q.err != nil {
		return q.err
	}
	if developer := q.text("developer"); developer != "" {
		if !c.who.sees(developer) {
			return c.json(200, page[actView]{Items: []actView{}})
		}
		aq.Developers = []string{developer}
	}
	return a.showActs(c, aq)
}

// history lists what happened to a destination, and by whom.
func (a *API) history(c *call) error {
	developer, name := c.r.PathValue("developer"), c.r.PathValue("destination")
	if len(a.Daemon.Names().find(c.who, developer, name)) == 0 {
		return notFound("there is no such destination, and never was")
	}
	q := &c.query
	aq := store.ActQuery{
		Developers: []string{developer}, Object: name, States: true,
		Since: q.time("since"), Until: q.time("until"), Limit: q.limit(), Cursor: q.text("cursor"),
	}
	if q.err != nil {
		return q.err
	}
	return a.showActs(c, aq)
}

func (a *API) showActs(c *call, q store.ActQuery) error {
	found, err := a.Trail.Acts(c.r.Context(), q)
	if err != nil {
		return err
	}
	return c.json(200, pageOf(found, viewAct))
}
