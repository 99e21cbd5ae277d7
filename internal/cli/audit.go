package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newAudit(e *env) *cobra.Command {
	var (
		deep      bool
		developer string
	)
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check that every delivery is accounted for",
		Long: `Shows for each destination how many deliveries were made and what became of
them, over retention.attempts: accepted = delivered + pending + dead +
cancelled. The figures are counters that change together with the deliveries.

With --deep everything is counted again from the events and deliveries
themselves, on one snapshot, and must agree; with millions of deliveries that
takes a while.

It ends with 1 when anything does not add up.`,
		Example: `  fantail audit
  fantail audit --deep
  fantail audit --developer acme --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			what := "counting"
			if deep {
				what = "counting every delivery again"
			}
			var rows []client.AuditRow
			if err := e.progress().during(what, func() (err error) {
				rows, err = c.Audit(cmd.Context(), deep)
				return err
			}); err != nil {
				return err
			}
			if developer != "" {
				rows = slices.DeleteFunc(rows, func(r client.AuditRow) bool { return r.Developer != developer })
				if len(rows) == 0 {
					if err := e.recognise(cmd.Context(), c, named{developer: developer}); err != nil {
						return err
					}
					return fmt.Errorf("no destination of a developer %q is known: fantail destinations lists all", developer)
				}
			}
			return e.printAudit(rows)
		},
	}
	cmd.Flags().StringVar(&developer, "developer", "", "only destinations of this developer")
	cmd.Flags().BoolVar(&deep, "deep", false, "count everything again and compare")
	return cmd
}

func (e *env) printAudit(rows []client.AuditRow) error {
	off := 0
	t := newTable(e.out, "DESTINATION", "ACCEPTED", "DELIVERED", "PENDING", "DEAD", "CANCELLED", "")
	if e.json {
		t = nil
	}
	for _, r := range rows {
		verdict := "balanced"
		if !r.Balanced {
			verdict = "DOES NOT ADD UP"
			off++
		}
		if e.json {
			if err := e.printJSON(r); err != nil {
				return err
			}
			continue
		}
		t.row(r.Developer+"/"+r.Destination, fmt.Sprint(r.Accepted), fmt.Sprint(r.Delivered), fmt.Sprint(r.Pending),
			fmt.Sprint(r.Dead), fmt.Sprint(r.Cancelled), verdict)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if off > 0 {
		return fmt.Errorf("%s not add up", count(off, "destination")+" "+map[bool]string{true: "does", false: "do"}[off == 1])
	}
	return nil
}
