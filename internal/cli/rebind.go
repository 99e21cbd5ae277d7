package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newRebind(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "rebind DEVELOPER/DESTINATION",
		Short: "Move what is under way to a destination's current settings",
		Long: `Webhooks retry a delivery with the settings that its first attempt was made
with: URL, headers, secret and schedule. Rebind moves every pending delivery of
the destination to the current settings; when it is due does not change.

Use it when the old settings are of no use any more: an address that is gone, or
a secret that leaked.`,
		Example: `  fantail rebind acme/app`,
		Args:    cobra.ExactArgs(1),
		RunE: e.onDestination(func(ctx context.Context, c *client.Client, developer, name string) (string, error) {
			n, err := c.Rebind(ctx, developer, name)
			return fmt.Sprintf("rebound %s", count(n, "pending delivery")), err
		}),
	}
}
