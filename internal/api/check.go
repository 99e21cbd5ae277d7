package api

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Checks looks at destinations without sending them anything.
type Checks interface {
	// Check checks a destination now, as the settings have it; store.ErrNotFound
	// if they do not.
	Check(ctx context.Context, key store.DestinationKey) (check.Result, error)
	// LastCheck returns the last result since the start.
	LastCheck(key store.DestinationKey) (check.Result, bool)
}

// checkView is the result of a check as the API shows it.
type checkView struct {
	At       time.Time     `json:"at"`
	Millis   int64         `json:"ms"`
	Result   check.Level   `json:"result"`
	Expires  time.Time     `json:"certificate_expires,omitzero"`
	Findings []findingView `json:"findings"`
}

type findingView struct {
	Name    string      `json:"name"`
	Result  check.Level `json:"result"`
	Message string      `json:"message"`
	Advice  string      `json:"advice,omitempty"`
}

// viewCheck shows the findings of r: all of them, or only those that are not ok.
func viewCheck(r *check.Result, all bool) *checkView {
	v := &checkView{At: r.At, Millis: r.Took.Milliseconds(), Result: r.Level, Expires: r.Expires, Findings: []findingView{}}
	for _, f := range r.Findings {
		if all || f.Level != check.OK {
			v.Findings = append(v.Findings, findingView{f.Name, f.Level, f.Message, f.Advice})
		}
	}
	return v
}

// check checks a destination now and answers with every finding.
func (a *API) check(c *call) error {
	if err := a.decode(c, &struct{}{}); err != nil {
		return err
	}
	d, err := a.destinationOf(c)
	if err != nil {
		return err
	}
	r, err := a.Checks.Check(c.r.Context(), d.Key)
	if err != nil {
		return err
	}
	if f, amiss := standing(&d); amiss {
		r.Add(f)
	}
	v := viewDestination(&d)
	v.Check = viewCheck(&r, true)
	return c.json(200, v)
}

// untilOf says until when a destination waits, "" if its turn has come.
func untilOf(d *delivery.Status) string {
	if d.WaitsUntil.IsZero() {
		return ""
	}
	return " until " + d.WaitsUntil.UTC().Format(time.RFC3339)
}

// standing says why nothing goes out to a destination, whatever its far side is like.
func standing(d *delivery.Status) (check.Finding, bool) {
	since := ""
	if !d.Since.IsZero() {
		since = " since " + d.Since.UTC().Format(time.RFC3339)
	}
	path := d.Key.Developer + "/" + d.Key.Name
	switch d.State {
	case "held":
		return check.Finding{Name: "state", Level: check.Fail, Message: fmt.Sprintf("held by the daemon%s: %s", since, d.Reason),
			Advice: "mend what it names and reload the settings, or `fantail resume " + path + "`; the daemon tries by itself, too"}, true
	case "paused":
		return check.Finding{Name: "state", Level: check.Warn, Message: fmt.Sprintf("paused by a person%s: %s", since, d.Reason),
			Advice: "`fantail resume " + path + "` when it may go on"}, true
	case "disabled":
		return check.Finding{Name: "state", Level: check.Warn, Message: "disabled in the settings: deliveries wait",
			Advice: "take out enabled: false when it may go on"}, true
	}
	if d.Apart {
		return check.Finding{Name: "state", Level: check.Warn, Message: "waits apart" + untilOf(d) + ": " + d.Reason,
			Advice: "look for the crash in the daemon's log, and report it; other settings are tried at once"}, true
	}
	if !d.WaitsUntil.IsZero() {
		return check.Finding{Name: "state", Level: check.Warn, Message: "waits" + untilOf(d) + ", as its far side asked: " + d.Reason,
			Advice: "wait, or `fantail resume " + path + "` to try at once"}, true
	}
	if d.Last.Failed > 0 {
		well := "none has succeeded before, as far as is known"
		if d.Last.Success > 0 {
			well = "the last success was at " + wall(d.Last.Success).Format(time.RFC3339)
		}
		return check.Finding{Name: "state", Level: check.Warn, Message: d.Reason + "; " + well,
			Advice: "`fantail deliveries --developer " + d.Key.Developer + " --destination " + d.Key.Name + "` shows what was answered"}, true
	}
	return check.Finding{}, false
}
