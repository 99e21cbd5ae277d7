package cli

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/app"
	"github.com/seed-51f8da91/fantail/internal/build"
	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// checksAtATime is how many checks the daemon is asked for at once; it makes no
// more than 8 itself.
const checksAtATime = 4

func newCheck(e *env) *cobra.Command {
	var path string
	var all bool
	cmd := &cobra.Command{
		Use:   "check [DEVELOPER[/DESTINATION]]",
		Short: "See whether destinations can be delivered to",
		Long: `Looks at destinations without sending them an event and without leaving
anything behind, and says in a sentence what is wrong and what to do:

  state     held by the daemon, paused, disabled
  dns       the name of the host
  guard     whether the address may be connected to (egress)
  connect   whether somebody listens
  tls       the certificate: its name, its authority, the days until it ends
  access    credentials, rights, bucket, queue, tables: what its kind can see

Webhooks are connected to and sent no request; "fantail test" sends an event.
The running daemon makes the checks. With --config they are made from here, with
those settings, and no daemon need run: before a first start, or a reload.

It ends with 0 when all destinations can be delivered to, whatever there may be
to remark, and with 1 when one cannot.`,
		Example: `  fantail check
  fantail check acme
  fantail check acme/app --all
  fantail check --config fantail.yaml acme       without a daemon`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			developer, name, err := destinationArg(args)
			if err != nil {
				return err
			}
			found, err := []client.Destination(nil), error(nil)
			if path == "" {
				found, err = e.checkThere(cmd.Context(), developer, name)
			} else {
				found, err = e.checkHere(cmd.Context(), path, developer, name)
			}
			switch {
			case err != nil:
				return err
			case len(found) == 0 && len(args) > 0:
				return fmt.Errorf("there is no destination of %s", args[0])
			}
			return e.printChecks(found, all)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "check from here what is in this fantail.yaml, without a daemon")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.Flags().BoolVar(&all, "all", false, "show what is in order, too")
	return cmd
}

// destinationArg reads developer, developer/destination or nothing.
func destinationArg(args []string) (developer, name string, err error) {
	if len(args) == 0 {
		return "", "", nil
	}
	developer, name, two := strings.Cut(args[0], "/")
	if developer == "" || two && name == "" {
		return "", "", usagef("%q is not of the form developer or developer/destination, such as acme/app", args[0])
	}
	return developer, name, nil
}

// checkThere has the daemon check.
func (e *env) checkThere(ctx context.Context, developer, name string) ([]client.Destination, error) {
	c, err := e.client()
	if err != nil {
		return nil, err
	}
	var all []client.Destination
	for d, err := range c.Destinations(ctx, developer, "") {
		if err != nil {
			return nil, err
		}
		if d.State != "removed" && (name == "" || d.Name == name) {
			all = append(all, d)
		}
	}
	if len(all) == 0 && developer != "" {
		if err := e.recognise(ctx, c, named{developer: developer, destination: name}); err != nil {
			return nil, err
		}
	}
	line, done := e.progress(), 0
	var mu sync.Mutex
	var running sync.WaitGroup
	slots := make(chan struct{}, checksAtATime)
	errs := make([]error, len(all))
	for i := range all {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			checked, err := c.Check(ctx, all[i].Developer, all[i].Name)
			if err == nil {
				all[i] = checked
			}
			errs[i] = err
			mu.Lock()
			defer mu.Unlock()
			done++
			line.show("checked %d of %d", done, len(all))
		})
	}
	running.Wait()
	line.clear()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// checkHere checks without a daemon.
func (e *env) checkHere(ctx context.Context, path, developer, name string) ([]client.Destination, error) {
	snapshot, err := config.Load(path, e.kinds)
	if snapshot == nil {
		return nil, err
	}
	line, done := e.progress(), 0
	found, err := app.CheckSettings(ctx, app.Options{Config: path, Kinds: e.kinds, Log: slog.New(slog.DiscardHandler), Version: build.Read().Version}, snapshot,
		func(d *config.Destination) bool {
			return (developer == "" || d.Developer == developer) && (name == "" || d.Name == name)
		},
		func() { done++; line.show("checked %d", done) })
	line.clear()
	if err != nil {
		return nil, err
	}
	all := make([]client.Destination, len(found))
	for i, f := range found {
		if f.Err != nil {
			f.Result = check.Result{At: e.now().UTC(), Level: check.OK}
			f.Result.Add(check.Finding{Name: "check", Level: check.Fail, Message: f.Err.Error(), Advice: "mend its settings"})
		}
		all[i] = client.Destination{Developer: f.Developer, Name: f.Name, Kind: f.Kind, State: "active", Breaker: "closed", Check: asClient(&f.Result)}
		if !f.Enabled {
			all[i].State = "disabled"
		}
	}
	for _, id := range slices.Sorted(maps.Keys(snapshot.Broken)) {
		if developer != "" && developer != id {
			continue
		}
		r := check.Result{At: e.now().UTC(), Level: check.OK}
		r.Add(check.Finding{Name: "settings", Level: check.Fail, Advice: "mend it; `fantail validate` shows all faults",
			Message: "nothing is checked, because the settings have faults: " + snapshot.Broken[id][0].Error()})
		all = append(all, client.Destination{Developer: id, Name: "*", Kind: "-", State: "disabled", Breaker: "closed", Check: asClient(&r)})
	}
	return all, nil
}

// asClient is r as the API would show it.
func asClient(r *check.Result) *client.Check {
	c := &client.Check{At: r.At, Millis: r.Took.Milliseconds(), Result: string(r.Level), Expires: r.Expires, Findings: []client.Finding{}}
	for _, f := range r.Findings {
		c.Findings = append(c.Findings, client.Finding{Name: f.Name, Result: string(f.Level), Message: f.Message, Advice: f.Advice})
	}
	return c
}

// printChecks prints a row for each finding that is not in order, or with all for every finding. A
// destination that is well has one row.
func (e *env) printChecks(found []client.Destination, all bool) error {
	ill := 0
	room := 0 // a program wants a row on one line
	if e.outTerminal {
		room = e.columns()
	}
	t := e.grid(room, column{head: "DESTINATION", least: 16}, column{head: "KIND", least: 8, drop: 1}, column{head: "CHECK", least: 7}, column{head: "RESULT", least: 6},
		column{head: "WHAT IT FOUND", least: 18, fold: true}, column{head: "WHAT TO DO", least: 16, fold: true})
	for _, d := range found {
		if d.Check == nil {
			continue
		}
		if d.Check.Result == string(check.Fail) {
			ill++
		}
		if e.json {
			if err := e.printJSON(d); err != nil {
				return err
			}
			continue
		}
		path, shown := d.Developer+"/"+d.Name, false
		for _, f := range d.Check.Findings {
			if all || f.Result != string(check.OK) {
				cells := texts(path, d.Kind, f.Name, f.Result, f.Message, or(f.Advice, "-"))
				cells[3].colour = colourOfResult(f.Result)
				t.add(cells)
				shown = true
			}
		}
		if !shown {
			t.add(texts(path, d.Kind, "all", "ok", e.wellUntil(d.Check), "-"))
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(found) == 0 && !e.json {
		fmt.Fprintln(e.err, "No destinations.")
	}
	if ill > 0 {
		return errSilent
	}
	return nil
}

func colourOfResult(result string) string {
	return map[string]string{"ok": green, "warn": yellow, "fail": red}[result]
}

// wellUntil says how a destination is that has no faults.
func (e *env) wellUntil(c *client.Check) string {
	if c.Expires.IsZero() {
		return "deliveries can be made"
	}
	return fmt.Sprintf("deliveries can be made; the certificate ends in %d days", int(c.Expires.Sub(e.now())/(24*time.Hour)))
}

// checked is the cell of the last check.
func checked(c *client.Check) string {
	if c == nil {
		return "-"
	}
	return c.Result
}
