package cli

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func newDeliveries(e *env) *cobra.Command {
	var (
		f      client.DeliveryFilter
		l      listFlags
		within interval
	)
	cmd := &cobra.Command{
		Use:   "deliveries [ID]",
		Short: "See where events went, or every attempt of one delivery",
		Long: `Lists deliveries, newest event first. A delivery is one event on its way to one
destination: pending, delivered, dead (its attempts are used up, or it was
rejected, or it grew too old), or cancelled by a person. NEXT OR WHY says when a
pending one is tried, or what it waits for and until when, and why another is dead.

With an ID it shows that delivery and every attempt that was made: when, how
long it took, what the far side answered. Every command takes the short ids that
the list shows.

--type, --user, --class and --code are in no index: the daemon reads one by one
what the other filters select, for a while, and the answer says how far back that
was.`,
		Example: `  fantail deliveries --developer acme --since 1h
  fantail deliveries --developer acme --destination app --state dead
  fantail deliveries --user u1 --code 500 --code 503
  fantail deliveries --state pending --watch
  fantail deliveries --state dead -o id | xargs fantail retry
  fantail deliveries 019c1f3e-7b2a-7000_3`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := e.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if err := alone(cmd); err != nil {
					return err
				}
				return e.showDelivery(cmd.Context(), c, args[0])
			}
			if f.Since, f.Until, err = within.read(e.now()); err != nil {
				return err
			}
			if f.Destination != "" && f.Developer == "" {
				return usagef("--destination needs --developer: names are each developer's own")
			}
			l.limited = cmd.Flags().Changed("limit")
			return e.listDeliveries(cmd.Context(), c, f, l, "No such deliveries.")
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Developer, "developer", "", "only deliveries of this developer")
	flags.StringVar(&f.Destination, "destination", "", "only deliveries to this destination of the developer")
	flags.StringSliceVar(&f.States, "state", nil, "only pending, delivered, dead or cancelled ones; may be given several times")
	flags.StringVar(&f.Event, "event", "", "only deliveries of the event with this ID")
	flags.StringSliceVar(&f.Types, "type", nil, "only of events of this type; may be given several times")
	flags.StringVar(&f.User, "user", "", "only of events of this user")
	flags.StringSliceVar(&f.Classes, "class", nil, "only whose last attempt was of this class (transient, rejected...); may be given several times")
	flags.IntSliceVar(&f.Codes, "code", nil, "only whose last attempt was answered with this code, 0 for not at all; may be given several times")
	within.flags(cmd, "of events accepted")
	limitFlag(cmd, &l.limit)
	l.flags(cmd, "accepted", "state", "destination", "type", "user", "tried", "due")
	completeStates(cmd)
	_ = cmd.RegisterFlagCompletionFunc("class", cobra.FixedCompletions(store.AttemptClasses, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func completeStates(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(
		[]string{"pending", "delivered", "dead", "cancelled"}, cobra.ShellCompDirectiveNoFileComp))
}

// deliveryOrder are the orders of a list of deliveries.
var deliveryOrder = map[string]func(a, b client.Delivery) int{
	"accepted": func(a, b client.Delivery) int { return cmp.Compare(b.Event, a.Event) },
	"state":    func(a, b client.Delivery) int { return cmp.Compare(a.State, b.State) },
	"destination": func(a, b client.Delivery) int {
		return cmp.Compare(a.Developer+"/"+a.Destination, b.Developer+"/"+b.Destination)
	},
	"type":  func(a, b client.Delivery) int { return cmp.Compare(a.Type, b.Type) },
	"user":  func(a, b client.Delivery) int { return cmp.Compare(a.User, b.User) },
	"tried": func(a, b client.Delivery) int { return cmp.Compare(b.Tried, a.Tried) },
	"due":   func(a, b client.Delivery) int { return a.Due.Compare(b.Due) },
}

func (e *env) listDeliveries(ctx context.Context, c *client.Client, f client.DeliveryFilter, l listFlags, none string) error {
	var back time.Time
	f.Detail = true
	if len(f.Types) > 0 || f.User != "" || len(f.Classes) > 0 || len(f.Codes) > 0 {
		f.Pages, f.Looked = searchPages, func(t time.Time) { back = t }
	}
	list := listing[client.Delivery]{
		env: e, listed: l, order: deliveryOrder, none: none, id: func(d client.Delivery) string { return d.ID },
		items: func(ctx context.Context, limit int) iter.Seq2[client.Delivery, error] {
			f.Limit, back = limit, time.Time{}
			return c.Deliveries(ctx, f)
		},
		columns: []column{
			{head: "AGE"}, {head: "ID"}, {head: "DESTINATION", least: 12}, {head: "TYPE", least: 8, drop: 2}, {head: "USER", least: 6, drop: 3},
			{head: "STATE", least: 9}, {head: "TRIED", drop: 4}, {head: "LAST ANSWER", least: 11, drop: 1}, {head: "NEXT OR WHY", least: 13, fold: true},
		},
		row: e.deliveryRow,
		unknown: func(ctx context.Context) error {
			return e.recognise(ctx, c, named{developer: f.Developer, destination: f.Destination, types: f.Types})
		},
		looked: func() time.Time { return back },
	}
	return list.run(ctx)
}

func (e *env) deliveryRow(d client.Delivery, wide bool) []cell {
	at, id := acceptance(d.Event), short(d.ID)
	age := "-"
	if wide {
		age, id = e.moment(at), d.ID
	} else if !at.IsZero() {
		age = about(e.now().Sub(at))
	}
	cells := texts(age, id, d.Developer+"/"+d.Destination, or(d.Type, "-"), or(d.User, "-"), d.State, fmt.Sprint(d.Tried), e.lastAnswer(d.LastAnswer, wide), e.nextOrWhy(d))
	cells[5].colour = colourOf(d.State)
	return cells
}

// anID matches the id of an event or a delivery. A delivery's has the number of its destination, and
// for a replay's also the number and day of the replay.
var anID = regexp.MustCompile(`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4})-[0-9a-f]{4}-[0-9a-f]{12}((_\d{1,10}){0,2}(_\d{1,5})?)$`)

// short cuts an id to a beginning that stands for it alone: the time of its event and the place
// within the millisecond, which no two events of a store share. No column cuts that any further, so
// that every command takes what a list shows. Text that is no id is cut to the same length, because
// nobody has to type it.
func short(id string) string {
	if parts := anID.FindStringSubmatch(id); parts != nil {
		return parts[1] + parts[2]
	}
	return clip(clean(id), 18)
}

func colourOf(state string) string {
	switch state {
	case "delivered", "active":
		return green
	case "dead", "held":
		return red
	case "pending", "paused":
		return yellow
	}
	return faint
}

// lastAnswer is how an attempt ended, as a cell shows it.
func (e *env) lastAnswer(a *client.Answer, wide bool) string {
	if a == nil {
		return "-"
	}
	text := a.Class
	if a.Code != 0 {
		text = fmt.Sprint(a.Code)
	}
	if a.Answer != "" {
		text += " " + a.Answer
	}
	if wide {
		text += ", " + e.moment(a.At)
	}
	return text
}

// nextOrWhy says when a pending delivery is tried and why no sooner, and why any other is not
// tried any more.
func (e *env) nextOrWhy(d client.Delivery) string {
	if d.State == "pending" {
		return or(e.next(d), "-")
	}
	return or(d.Reason, "-")
}

// acceptance reads when an event was accepted from its id.
func acceptance(id string) time.Time {
	parsed, err := event.ParseID(id)
	if err != nil {
		return time.Time{}
	}
	return parsed.Time()
}

func state(d client.Delivery) string {
	if d.Reason == "" {
		return d.State
	}
	return d.State + " (" + cut(d.Reason, 200) + ")"
}

func (e *env) showDelivery(ctx context.Context, c *client.Client, id string) error {
	d, err := c.Delivery(ctx, id)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(d)
	}
	since := ""
	if !d.Changed.IsZero() {
		since = e.moment(d.Changed)
	}
	if err := e.facts(
		[2]string{"delivery", d.ID}, [2]string{"event", d.Event}, [2]string{"destination", fmt.Sprintf("%s/%s (%s)", d.Developer, d.Destination, d.Kind)},
		[2]string{"type", d.Type}, [2]string{"user", d.User}, [2]string{"state", state(d)}, [2]string{"changed", since}, [2]string{"next attempt", e.nextFact(d)}, [2]string{"settings", settingsFact(d)},
	); err != nil {
		return err
	}
	fmt.Fprintln(e.out)
	if len(d.Attempts) == 0 {
		fmt.Fprintln(e.out, "No attempt was made yet.")
		return nil
	}
	uncounted := false
	t := newTable(e.out, "#", "AT", "TOOK", "RESULT", "CODE", "ADDRESS", "ANSWER")
	for i, a := range d.Attempts {
		code := "-"
		if a.Code != 0 {
			code = fmt.Sprint(a.Code)
		}
		number := fmt.Sprint(i + 1)
		if !a.Counted {
			number += "*"
			uncounted = true
		}
		result := resultOf(a)
		t.row(number, e.moment(a.At), span(time.Duration(a.Millis)*time.Millisecond), result, code, or(a.Address, "-"), cut(a.Answer, 120))
	}
	if err := t.flush(); err != nil || !uncounted {
		return err
	}
	_, err = fmt.Fprintln(e.out, "* does not count: it used up no attempt of the schedule")
	return err
}

// resultOf is an attempt's class, followed by the number of its requests if that was more than one.
func resultOf(a client.Attempt) string {
	if a.Requests > 1 {
		return fmt.Sprintf("%s (%d requests)", a.Class, a.Requests)
	}
	return a.Class
}

// next says when a pending delivery is tried, or what it waits for; "" for any other.
func (e *env) next(d client.Delivery) string {
	now := e.now()
	if d.WaitsFor != "" {
		text := waiting(d.WaitsFor)
		switch {
		case d.WaitsUntil.After(now) && (d.WaitsFor == "held" || d.WaitsFor == "breaker"):
			text += ", tried in " + span(d.WaitsUntil.Sub(now).Truncate(time.Second))
		case d.WaitsUntil.After(now):
			text += " for " + span(d.WaitsUntil.Sub(now).Truncate(time.Second))
		}
		if d.WaitsReason != "" {
			text += ": " + d.WaitsReason
		}
		return text
	}
	switch {
	case d.Due.IsZero():
		return ""
	case d.Due.After(now):
		return "in " + span(d.Due.Sub(now).Truncate(time.Second))
	}
	return "due now" // under way, or next
}

// nextFact is next with the time of the attempt.
func (e *env) nextFact(d client.Delivery) string {
	if d.WaitsFor == "" && d.Due.After(e.now()) {
		return e.moment(d.Due)
	}
	return e.next(d)
}

// waiting says what a delivery waits for.
func waiting(what string) string {
	switch what {
	case "removed":
		return "its destination is removed"
	case "apart":
		return "waits apart"
	case "breaker":
		return "broken off"
	case "settings":
		return "its settings cannot be opened"
	case "engine":
		return "the daemon waits"
	case "rate":
		return "at its rate"
	}
	return what // held, paused, disabled, throttled
}

// settingsFact says with which settings a pending delivery goes out.
func settingsFact(d client.Delivery) string {
	switch {
	case d.State != "pending":
		return ""
	case d.Frozen:
		return "those of its first attempt (\"fantail retry --rebind\" moves it to current ones)"
	}
	return "current"
}
