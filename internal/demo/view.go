package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// watch shows the destinations until nothing is pending any more.
func watch(ctx context.Context, api *client.Client, o Options, c *cast) error {
	began := time.Now()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	shown := ""
	for {
		picture, pending, err := draw(ctx, api, c)
		if err != nil {
			return err
		}
		if picture != shown {
			if o.Live && shown != "" {
				fmt.Fprintf(o.Out, "\x1b[%dA\x1b[J", strings.Count(shown, "\n"))
			}
			if o.Live || pending == 0 || shown == "" {
				fmt.Fprint(o.Out, picture)
			} else {
				fmt.Fprintf(o.Out, "%5.1fs  pending: %d\n", time.Since(began).Seconds(), pending)
			}
			shown = picture
		}
		if pending == 0 {
			return nil
		}
		if time.Since(began) > patience {
			return fmt.Errorf("%d deliveries are still pending after %s", pending, patience)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// draw renders the audit as it stands, one line per destination.
func draw(ctx context.Context, api *client.Client, c *cast) (picture string, pending int64, err error) {
	rows, err := api.Audit(ctx, false)
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "destination\tplays\taccepted\tdelivered\tretrying\tdead")
	for _, r := range rows {
		plays := ""
		if p := c.part(r.Developer, r.Destination); p != nil {
			plays = p.plays
		}
		fmt.Fprintf(w, "%s/%s\t%s\t%d\t%d\t%d\t%d\n", r.Developer, r.Destination, plays, r.Accepted, r.Delivered, r.Pending, r.Dead)
		pending += r.Pending
	}
	w.Flush()
	return b.String(), pending, nil
}

// report recounts everything and compares it with what the receivers saw.
func report(ctx context.Context, api *client.Client, out io.Writer, c *cast) error {
	rows, err := api.Audit(ctx, true)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "\nAudit, recounted from every event and delivery on disk:")
	var faults []error
	for _, r := range rows {
		p := c.part(r.Developer, r.Destination)
		fault := judge(r, p)
		verdict := "adds up"
		if fault != nil {
			verdict = "WRONG, see below"
			if !r.Balanced {
				verdict = "DOES NOT ADD UP"
			}
			faults = append(faults, fmt.Errorf("%s: %w", p.id(), fault))
		}
		fmt.Fprintf(out, "  %-14s accepted %d = delivered %d + pending %d + dead %d + cancelled %d: %s\n",
			p.id(), r.Accepted, r.Delivered, r.Pending, r.Dead, r.Cancelled, verdict)
	}
	if len(rows) != len(c.parts) {
		faults = append(faults, fmt.Errorf("the audit has %d destinations, want %d", len(rows), len(c.parts)))
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	fmt.Fprintln(out, "Every delivered event arrived with its exact bytes and a signature that the receiver verified by itself. Nothing was lost.")
	return nil
}

// judge compares one destination's audit with its receiver.
func judge(r client.AuditRow, p *part) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var faults []error
	for why, n := range p.wrong {
		faults = append(faults, fmt.Errorf("%d requests arrived and %s", n, why))
	}
	if !r.Balanced {
		faults = append(faults, errors.New("the audit does not balance"))
	}
	if int64(len(p.got)) != r.Delivered {
		faults = append(faults, fmt.Errorf("the receiver has %d events, the audit says %d", len(p.got), r.Delivered))
	}
	if want := r.Accepted; !p.hang && r.Delivered != want {
		faults = append(faults, fmt.Errorf("%d of %d events were delivered", r.Delivered, want))
	}
	if p.hang && (r.Dead != r.Accepted || r.Accepted == 0) {
		faults = append(faults, fmt.Errorf("%d of %d events to an endpoint that hangs are dead, want all", r.Dead, r.Accepted))
	}
	if p.events == nil && r.Accepted != int64(len(p.expected)) {
		faults = append(faults, fmt.Errorf("accepted %d events, want one per sample, %d", r.Accepted, len(p.expected)))
	}
	return errors.Join(faults...)
}
