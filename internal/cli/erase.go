package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newErase(e *env) *cobra.Command {
	var (
		developer string
		yes       bool
	)
	cmd := &cobra.Command{
		Use:   "erase --developer NAME USER",
		Short: "Erase what is stored about a user",
		Long: `Overwrites the bodies of all events of a user of a developer and what else names
them, and cancels what is still on its way. It cannot be undone. It asks first;
where nobody can be asked it wants --yes. That it was done, when, and with which token is kept. What destinations have received
already is theirs to erase. Payloads stay in the payload store: no fresh link is
made to them while the event is known, and links that were made before work until
they expire, up to seven days. docs/CONFIGURATION.md says how to delete them.`,
		Example: `  fantail erase --developer acme 40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad
  fantail erase --developer acme --yes --json 40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if err := e.ask(ctx, yes, func() (string, error) { return e.eraseQuestion(ctx, c, developer, args[0]) }); err != nil {
				return err
			}
			var report client.Erased
			if err := e.progress().during("erasing", func() (err error) {
				report, err = c.Erase(ctx, developer, args[0])
				return err
			}); err != nil {
				return err
			}
			if report == (client.Erased{}) {
				if err := e.recognise(ctx, c, named{developer: developer}); err != nil {
					return err
				}
			}
			if e.json {
				return e.printJSON(report)
			}
			_, err = fmt.Fprintf(e.out, "erased %s, cancelled %s\n", count(report.Events, "event"), count(report.Cancelled, "pending delivery"))
			return err
		},
	}
	cmd.Flags().StringVar(&developer, "developer", "", "whose user it is")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask first")
	_ = cmd.MarkFlagRequired("developer")
	return cmd
}

// eraseQuestion says how much there is to lose.
func (e *env) eraseQuestion(ctx context.Context, c *client.Client, developer, user string) (string, error) {
	n, newest := 0, time.Time{}
	for ev, err := range c.Events(ctx, client.EventFilter{Developer: developer, User: user, Limit: mostCounted + 1}) {
		if err != nil {
			return "", err
		}
		if n++; n == 1 {
			newest = ev.Accepted
		}
	}
	if n == 0 {
		if err := e.recognise(ctx, c, named{developer: developer}); err != nil {
			return "", err
		}
		return fmt.Sprintf("No event of user %s of %s is known. Erase what else is stored about them, for good?", user, developer), nil
	}
	return fmt.Sprintf("Erase %s of user %s of %s, the newest %s old, for good?", counted(n, "event"), user, developer, age(e.now().Sub(newest))), nil
}
