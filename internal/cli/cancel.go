package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newCancel(e *env) *cobra.Command {
	ch := &change{env: e, did: "cancelled", asking: "Cancel", spared: "needed nothing"}
	ch.selection.State = "pending"
	cmd := &cobra.Command{
		Use:   "cancel ID... | --developer NAME [--destination NAME] [--since TIME] [--until TIME]",
		Short: "Stop trying deliveries",
		Long: `Ends pending deliveries: those with the IDs given, or all that the flags select.
An attempt that is under way may still succeed; then the delivery counts as
delivered. A cancelled delivery stays in the log and "fantail retry" brings it
back. It asks before it cancels what flags select, and wants --yes where nobody
can be asked; --dry-run only counts.`,
		Example: `  fantail cancel 019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d_3
  fantail cancel --developer acme --destination app --until 2d
  fantail cancel --developer acme --destination app --dry-run`,
		RunE: ch.run,
	}
	ch.one = func(ctx context.Context, c *client.Client, id string) (client.Moved, error) { return c.Cancel(ctx, id) }
	ch.all = func(ctx context.Context, c *client.Client, progress func(client.Changed)) (client.Changed, error) {
		return c.CancelAll(ctx, ch.selection, progress)
	}
	ch.flags(cmd)
	return cmd
}
