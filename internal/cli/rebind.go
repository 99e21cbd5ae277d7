package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newRebind(e *env) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "rebind DEVELOPER/DESTINATION",
		Short: "Move what is under way to a destination's current settings",
		Long: `Webhooks retry a delivery with the settings that its first attempt was made
with: URL, headers, secret and schedule. Rebind moves every pending delivery of
the destination to the current settings; when it is due does not change.

Use it when the old settings are of no use any more: an address that is gone, or
a secret that leaked. It asks first; where nobody can be asked it wants --yes.`,
		Example: `  fantail rebind acme/app
  fantail rebind acme/app --yes`,
		Args: cobra.ExactArgs(1),
		RunE: e.onDestination(func(ctx context.Context, c *client.Client, developer, name string) (string, error) {
			err := e.ask(ctx, yes, func() (string, error) {
				d, err := e.destination(ctx, c, developer, name)
				if err == nil && d.Pending == 0 {
					err = errNothing
				}
				return fmt.Sprintf("Move %s of %s/%s%s, to its current settings?", count(int(d.Pending), "pending delivery"),
					developer, name, e.oldest(d)), err
			})
			if errors.Is(err, errNothing) {
				return "nothing is pending", nil
			}
			if err != nil {
				return "", err
			}
			var n int
			err = e.progress().during("rebinding", func() (err error) {
				n, err = c.Rebind(ctx, developer, name)
				return err
			})
			return fmt.Sprintf("rebound %s", count(n, "pending delivery")), e.orNearest(ctx, c, developer, name, err)
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask first")
	return cmd
}

// oldest returns ", the oldest 12 m old" for what is pending for d, "" if nothing is.
func (e *env) oldest(d client.Destination) string {
	if d.OldestPending.IsZero() {
		return ""
	}
	return fmt.Sprintf(", the oldest %s old", age(e.now().Sub(d.OldestPending)))
}
