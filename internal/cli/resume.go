package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newResume(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "resume DEVELOPER/DESTINATION",
		Short: "Send to a paused or held destination again",
		Long: `Ends a pause by a person, a hold by the daemon, or a wait that the far side asked
for (Retry-After). What waited goes out, oldest first, at the pace that the
destination can take. A delivery that has failed, or was itself asked to wait, keeps
its own time of the next attempt: "fantail retry" sends it now.`,
		Example: `  fantail resume acme/app`,
		Args:    cobra.ExactArgs(1),
		RunE: e.onDestination(func(ctx context.Context, c *client.Client, developer, name string) (string, error) {
			return "resumed", c.Resume(ctx, developer, name)
		}),
	}
}
