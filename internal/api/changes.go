package api

import (
	"slices"
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

func (a *API) viewAct(who *principal, act *store.Act) actView {
	return actView{wall(act.At), a.nameFor(who, act.By, act.Via), act.Via, act.From, act.Call, act.Developer, act.Object, act.Reason, act.Result, act.State, max(act.Count, 1)}
}

// listChanges lists who did what, newest first.
func (a *API) listChanges(c *call) error {
	q := &c.query
	aq := store.ActQuery{
		Developers: c.who.developers, Call: q.text("call"),
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
	by := q.text("by")
	if c.who.developers == nil {
		aq.By, by = by, ""
	}
	return a.showActs(c, aq, by)
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
	return a.showActs(c, aq, "")
}

// showActs answers with a page of acts: of it those by whom the reader reads as by, unless that is "".
func (a *API) showActs(c *call, q store.ActQuery, by string) error {
	found, err := a.Trail.Acts(c.r.Context(), q)
	if err != nil {
		return err
	}
	p := pageOf(found, func(act *store.Act) actView { return a.viewAct(c.who, act) })
	p.Items = slices.DeleteFunc(p.Items, func(v actView) bool { return by != "" && v.By != by })
	return c.json(200, p)
}
