package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

type testFlags struct {
	typ, provider, user string
	seed                uint64
	from                string
	wait                time.Duration
}

func newTest(e *env) *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test DEVELOPER/DESTINATION",
		Short: "Send a test event to one destination and see what it answers",
		Long: `Hands in an event for one destination alone, whatever its "events" say, waits
for the first attempt and shows it. The event is made up as --type, --provider,
--user and --seed say, or is the file of --from, byte for byte.

It is an event like all others from there on: stored, sent over the same path and
guard, signed, retried on the schedule, logged and counted. So it writes a real
row or object where the destination keeps such; use --user to give it to a user
that you know. Its reference begins with "fantail-test-".

It ends with 0 when the event was delivered, and with 1 when not.`,
		Example: `  fantail test acme/app
  fantail test acme/app --type sleep --provider GARMIN
  fantail test acme/warehouse --type daily --user 40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad --seed 7
  fantail test acme/app --from body.json --json
  cat body.json | fantail test acme/app --from -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			developer, name, ok := strings.Cut(args[0], "/")
			if !ok || developer == "" || name == "" {
				return usagef("%q is not of the form developer/destination, such as acme/app", args[0])
			}
			r, err := f.request(e, cmd)
			if err != nil {
				return err
			}
			return e.test(cmd.Context(), developer, name, r, f.wait)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.typ, "type", "activity", "type of the event")
	flags.StringVar(&f.provider, "provider", "", "provider of the data, such as GARMIN")
	flags.StringVar(&f.user, "user", "", "user_id; a fresh one when left out")
	flags.Uint64Var(&f.seed, "seed", 0, "the same number makes the same values; by chance when left out")
	flags.StringVar(&f.from, "from", "", "send this file instead (- for standard input)")
	flags.DurationVar(&f.wait, "wait", 40*time.Second, "how long to wait for the first attempt")
	return cmd
}

func (f *testFlags) request(e *env, cmd *cobra.Command) (r client.TestRequest, err error) {
	if f.from != "" {
		for _, name := range []string{"type", "provider", "user", "seed"} {
			if cmd.Flags().Changed(name) {
				return r, usagef("--%s is for an event that is made up; --from names one", name)
			}
		}
		r.Body, err = e.readFile(f.from)
		if err == nil && len(r.Body) == 0 {
			err = fmt.Errorf("%s is empty", f.from)
		}
		return r, err
	}
	r.Type, r.Provider, r.User = f.typ, f.provider, f.user
	if cmd.Flags().Changed("seed") {
		r.Seed = &f.seed
	}
	return r, nil
}

// outcome of a test as --json shows it.
type testOutcome struct {
	client.Tested
	Outcome client.Delivery `json:"outcome"`
}

func (e *env) test(ctx context.Context, developer, name string, r client.TestRequest, wait time.Duration) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	t, err := c.Test(ctx, developer, name, r)
	if err != nil {
		return e.orNearest(ctx, c, developer, name, err)
	}
	var d client.Delivery
	line := e.progress()
	err = line.during("waiting for the first attempt", func() (err error) {
		d, err = e.firstAttempt(ctx, c, &t, wait)
		return err
	})
	if err != nil {
		return fmt.Errorf("the event %s was accepted, but what became of it cannot be seen: %w", t.ID, err)
	}
	if e.json {
		if err := e.printJSON(testOutcome{t, d}); err != nil {
			return err
		}
	} else if err := e.printTest(t, &d); err != nil {
		return err
	}
	if d.State != "delivered" {
		return errSilent
	}
	return nil
}

// firstAttempt waits until an attempt of the delivery is in the log or the delivery has ended. It
// does not wait when nothing is attempted for now, because the destination does not run, or waits.
// Then t has the destination as it is at that moment.
func (e *env) firstAttempt(ctx context.Context, c *client.Client, t *client.Tested, wait time.Duration) (client.Delivery, error) {
	for began, pause := time.Now(), 20*time.Millisecond; ; pause = min(2*pause, time.Second) {
		d, err := c.Delivery(ctx, t.Delivery)
		if err != nil || d.State != "pending" || len(d.Attempts) > 0 || keepsBack(&t.Destination) || time.Since(began) >= wait {
			return d, err
		}
		if !e.pause(ctx, pause) {
			return d, context.Cause(ctx)
		}
		if pause < 200*time.Millisecond { // the attempt is most likely to come at once
			continue
		}
		if now, err := e.destination(ctx, c, t.Destination.Developer, t.Destination.Name); err == nil {
			t.Destination = now
		}
	}
}

// keepsBack tells whether deliveries to d are not attempted for now.
func keepsBack(d *client.Destination) bool {
	return d.State != "active" || !d.WaitsUntil.IsZero() && d.WaitsFor != "breaker" // whose next try may be this one
}

func (e *env) printTest(t client.Tested, d *client.Delivery) error {
	path := t.Destination.Developer + "/" + t.Destination.Name
	result := d.State
	switch {
	case d.State == "pending" && len(d.Attempts) > 0 && t.Destination.State == "active":
		result = "failed; it is tried again " + e.moment(d.Due)
	case d.State == "pending" && t.Destination.State != "active":
		if result = "waits: the destination is " + t.Destination.State; t.Destination.Reason != "" {
			result += " (" + t.Destination.Reason + ")"
		}
	case d.State == "pending" && keepsBack(&t.Destination):
		result = "not tried yet: the destination " + e.reason(t.Destination)
	case d.State == "pending" && t.Destination.Breaker == "open":
		result = "not tried yet: the destination has failed for a while and is tried with one delivery at a time; see fantail deliveries " + d.ID
	case d.State == "pending":
		result = fmt.Sprintf("not tried yet: %s of the destination are pending and %s under way; see fantail deliveries %s",
			count(int(t.Destination.Pending), "delivery"), count(t.Destination.InFlight, "attempt"), d.ID)
	}
	if d.Reason != "" {
		result += ": " + d.Reason
	}
	facts := [][2]string{{"destination", path}, {"event", t.ID}, {"reference", t.Reference}, {"delivery", d.ID}, {"result", result}}
	if n := len(d.Attempts); n > 0 {
		a := d.Attempts[n-1]
		code := ""
		if a.Code != 0 {
			code = fmt.Sprint(a.Code)
		}
		facts = append(facts, [2]string{"attempt", resultOf(a)}, [2]string{"code", code}, [2]string{"address", a.Address},
			[2]string{"took", span(time.Duration(a.Millis) * time.Millisecond)}, [2]string{"answer", a.Answer})
	}
	return e.facts(facts...)
}
