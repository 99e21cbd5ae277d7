package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newPause(e *env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause DEVELOPER/DESTINATION",
		Short: "Stop sending to a destination for a while",
		Long: `Stops attempts of a destination until "fantail resume", also over a restart of
the daemon. Events go on being accepted; their deliveries wait and go out after
the resume. What is under way when you pause may end.`,
		Example: `  fantail pause acme/app
  fantail pause acme/app --reason "their database moves tonight"`,
		Args: cobra.ExactArgs(1),
		RunE: e.onDestination(func(ctx context.Context, c *client.Client, developer, name string) (string, error) {
			return "paused", e.orNearest(ctx, c, developer, name, c.Pause(ctx, developer, name, reason))
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at the destination next")
	return cmd
}
