package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// whole refuses callers who are limited to some developers what concerns the
// whole daemon.
func (c *call) whole() error {
	if c.who.developers != nil {
		return refuse(403, "forbidden", "this concerns every developer; the token is limited to some")
	}
	return nil
}

// erase erases the data of a user. Doing it again is harmless, and does what
// was left when it was cut short.
func (a *API) erase(c *call) error {
	developer, user := c.query.text("developer"), c.r.PathValue("id")
	if developer == "" {
		return refuse(400, "missing_developer", "the parameter developer must name the developer whose user it is")
	}
	if !c.who.sees(developer) {
		return notYours(c.who)
	}
	gone := a.letting(c)
	a.Trail.Forget(developer, user) // acts of others who are at it now may name them
	report, err := a.Eraser.Erase(c.r.Context(), time.Now(), store.Erasure{Developer: developer, User: user, By: c.who.name}, gone.add)
	gone.tell()
	a.Scheduler.ForgetAnswers(developer) // after an erasure that was cut short, too
	err = errors.Join(err, a.Scheduler.ForgetUser(c.r.Context(), developer, user))
	a.tellPeers(c, peerAction{Do: doForget, Developer: developer, User: user}, 0, nil)
	if err != nil {
		return err
	}
	if report.Events == 0 && !a.Ingest.Knows(developer) && len(a.Daemon.Names().find(c.who, developer, "")) == 0 {
		return refuse(404, "unknown_developer", "nothing was found: there is no such developer in the settings, nor a destination that was ever theirs")
	}
	// The log does not say whose data it was: it is copied too widely. The store's record
	// does.
	return c.json(200, struct {
		Events    int `json:"events"`
		Cancelled int `json:"cancelled"`
	}{report.Events, report.Cancelled})
}

// Refused is the error of a reload that took over everything but the settings of
// some developers, who go on as Lines say.
type Refused struct {
	DryRun     bool // nothing was changed anyhow
	Developers []string
	Lines      []string // what became of each developer, and below it the faults: file:line: message
}

func (r *Refused) Error() string {
	what := "the settings are in force, but not those of"
	if r.DryRun {
		what = "nothing was changed; the settings would be in force, but not those of"
	}
	return fmt.Sprintf("%s %s:\n%s", what, strings.Join(r.Developers, ", "), strings.Join(r.Lines, "\n"))
}

// reloadPatience is how long another daemon may take to read its settings.
const reloadPatience = 30 * time.Second

// reload reads the settings again: fantail.yaml as a whole, or nothing and every
// fault, and each developer for themselves.
func (a *API) reload(c *call) error {
	if err := errors.Join(c.whole(), a.decode(c, &struct{}{})); err != nil {
		return err
	}
	o := ReloadOptions{DryRun: c.query.flag("dry_run"), AllowRemoval: c.query.flag("allow_removal")}
	if c.query.err != nil {
		return c.query.err
	}
	if o.DryRun {
		c.before = nil // it is no act
	}
	// A reload goes on when its client hangs up: half of one is worse than one that nobody
	// waits for.
	done, err := a.Daemon.ReloadWith(context.WithoutCancel(c.r.Context()), o)
	if removal, ok := errors.AsType[*Removal](err); ok {
		return c.planned(409, "removal_not_allowed", removal.Error(), removal.Plan, nil)
	}
	refused, partly := errors.AsType[*Refused](err)
	if err == nil && !o.DryRun {
		a.tellPeers(c, peerAction{Do: doReload, Options: ReloadOptions{AllowRemoval: o.AllowRemoval, Follows: true}}, reloadPatience, func(d store.Daemon, fault string) {
			done.Notes = append(done.Notes, "daemon "+d.Name+" has not taken its files over: "+fault)
		})
	}
	if err != nil && !partly {
		return refuse(422, "invalid_settings", err.Error())
	}
	if !o.DryRun {
		a.Log.Info("settings were reloaded over the API", "by", c.who.name)
	}
	if partly {
		if len(done.Waiting) > 0 {
			refused.Lines = append(refused.Lines, "at the next start: "+strings.Join(done.Waiting, ", "))
		}
		c.partly = !o.DryRun
		return c.planned(422, "developers_refused", refused.Error(), done.Plan, done.Notes)
	}
	return c.json(200, struct {
		Reloaded bool     `json:"reloaded"`
		DryRun   bool     `json:"dry_run,omitempty"`
		Waiting  []string `json:"at_next_start,omitempty"`
		Plan     []Step   `json:"plan"`
		Notes    []string `json:"notes,omitempty"`
	}{!o.DryRun, o.DryRun, done.Waiting, append([]Step{}, done.Plan...), done.Notes})
}

// planned answers with an error, and with what was, or would have been, done.
func (c *call) planned(status int, code, message string, plan []Step, notes []string) error {
	c.refused = code
	return c.json(status, struct {
		problem
		Plan  []Step   `json:"plan,omitempty"`
		Notes []string `json:"notes,omitempty"`
	}{problem{problemText{code, message}}, plan, notes})
}

// unwritable tells whether err is the fault of the place that was named, which
// whoever named it can mend.
func unwritable(err error) bool {
	return slices.ContainsFunc([]error{
		fs.ErrPermission, fs.ErrNotExist, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.ELOOP,
		syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT,
	}, func(fault error) bool { return errors.Is(err, fault) })
}

// backup writes a copy of the store on the daemon's machine.
func (a *API) backup(c *call) error {
	if err := c.whole(); err != nil {
		return err
	}
	var req struct {
		Dir string `json:"dir"`
	}
	if err := a.decode(c, &req); err != nil {
		return err
	}
	if !filepath.IsAbs(req.Dir) {
		return refuse(400, "invalid_request", "dir must be an absolute path on the daemon's machine")
	}
	c.about("", req.Dir)
	began := time.Now()
	switch err := a.Daemon.Backup(c.r.Context(), req.Dir); {
	case errors.Is(err, fs.ErrExist):
		return refuse(409, "conflict", "dir exists already: a backup never overwrites")
	case errors.Is(err, store.ErrBackup):
		return refuse(400, "invalid_request", err.Error())
	case unwritable(err):
		return &ingest.Refusal{Status: 422, Code: "invalid_dir", Message: "dir cannot be written: " + err.Error(), Cause: err}
	case err != nil:
		return err
	}
	took := time.Since(began)
	a.Log.Info("backup written", "dir", req.Dir, "by", c.who.name, "took", took)
	return c.json(200, struct {
		Dir    string `json:"dir"`
		Millis int64  `json:"ms"`
	}{req.Dir, took.Milliseconds()})
}
