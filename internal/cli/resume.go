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
			d, err := e.destination(ctx, c, developer, name)
			if err != nil && !isForbidden(err) {
				return "", err
			}
			if err := c.Resume(ctx, developer, name); err != nil {
				return "", err
			}
			if d.WaitsUntil.IsZero() {
				return resumed(d), nil
			}
			if now, err := e.destination(ctx, c, developer, name); err == nil && !now.WaitsUntil.IsZero() { // apart, after crashes
				return "still " + clean(e.reason(now)), nil
			}
			return resumed(d), nil
		}),
	}
}

// resumed says what the resume achieved; d is the destination as it was before.
func resumed(d client.Destination) string {
	switch {
	case d.State == "": // the token may not read
		return "resumed"
	case d.State == "active" && !d.WaitsUntil.IsZero():
		return "resumed: it does not wait any more"
	case d.State == "active":
		return "was active already: there was nothing to resume"
	case d.State == "disabled":
		return "is disabled in the settings (enabled: false): only they can end that"
	}
	text := "resumed (was " + clean(d.State)
	if d.Reason != "" {
		text += ": " + clean(d.Reason)
	}
	return text + ")"
}
