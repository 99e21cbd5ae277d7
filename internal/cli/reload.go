package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newReload(e *env) *cobra.Command {
	var o client.ReloadOptions
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the daemon read its settings again",
		Long: `Makes the daemon read fantail.yaml and the developers' files again, as a SIGHUP
does, and says what that did:

  + acme/new                                a destination came
  ~ globex/hooks (url)                      it changed, in these keys
  - umbrella (3 destinations, 39 pending)   a developer went

With a fault in fantail.yaml nothing changes. The developers' files are taken over
each for itself: a faulty one is refused, and its developer goes on with the last
good settings. Every fault is listed with file and line. Nothing under way is
disturbed, and destinations that did not change are left alone.

What leaves no developer or no destination, or takes more than a tenth of them
and more than two, is refused: a folder that is not mounted looks like that. If it
is meant, say --allow-removal. --dry-run says what a reload would do, as the
daemon sees it; "fantail validate" checks the files before, without a daemon.

It ends with 0 when everything was taken over and with 1 when something was refused.`,
		Example: `  fantail validate --config fantail.yaml && fantail reload
  fantail reload --dry-run
  fantail reload --server https://fantail.example:8443 --token-file operator.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			var done client.Reloaded
			doing := e.progress().during("reloading", func() (err error) {
				done, err = c.ReloadWith(cmd.Context(), o)
				return err
			})
			if e.json {
				if doing != nil {
					return doing
				}
				result := "reloaded"
				if o.DryRun {
					result = "not changed"
				}
				return e.printJSON(struct {
					Result string `json:"result"`
					client.Reloaded
				}{result, done})
			}
			if err := errors.Join(e.printPlan(done.Plan), doing); err != nil {
				return err
			}
			e.printNotes(done.Notes)
			switch {
			case o.DryRun:
				_, err = fmt.Fprintln(e.out, "Nothing was changed.")
			case len(done.Waiting) > 0:
				_, err = fmt.Fprintf(e.out, "The settings were reloaded, but these take effect at the next start: %s.\n", clean(strings.Join(done.Waiting, ", ")))
			default:
				_, err = fmt.Fprintln(e.out, "The settings were reloaded.")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what it would do, and change nothing")
	cmd.Flags().BoolVar(&o.AllowRemoval, "allow-removal", false, "also if it removes much")
	return cmd
}

// printPlan prints a line for each step.
func (e *env) printPlan(plan []client.Step) error {
	for _, s := range plan {
		if _, err := fmt.Fprintln(e.out, clean(s.String())); err != nil {
			return err
		}
	}
	return nil
}

// printNotes prints the daemon's notes on settings that were taken.
func (e *env) printNotes(notes []string) {
	for _, n := range notes {
		fmt.Fprintf(e.err, "note: %s\n", clean(n))
	}
}
