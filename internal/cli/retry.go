package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newRetry(e *env) *cobra.Command {
	ch := &change{env: e, did: "retried", asking: "Retry", spared: "another delivery of their event is pending there, or has arrived since"}
	cmd := &cobra.Command{
		Use:   "retry ID... | --developer NAME [--destination NAME] [--state STATE] [--since TIME] [--until TIME]",
		Short: "Try deliveries again, by hand",
		Long: `Makes deliveries due now, with the destination's current settings and a fresh
schedule: those with the IDs given, or all in one state that the flags select
(dead ones unless --state says otherwise). It asks before it changes
what flags select, and wants --yes where nobody can be asked; --dry-run only
counts.

With --rebind pending deliveries keep their schedule and only take up the
current settings. That is how a leaked secret is revoked for what is still on
its way: webhooks otherwise finish with the settings they began with.`,
		Example: `  fantail retry 019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d_3
  fantail retry --developer acme --destination app --state dead --since 6h
  fantail retry --developer acme --since 2d --dry-run
  fantail retry --developer acme --destination app --rebind --yes`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			s := &ch.selection
			if s.Rebind {
				if cmd.Flags().Changed("state") && s.State != "pending" {
					return usagef("--rebind concerns pending deliveries only")
				}
				s.State, ch.did, ch.asking = "pending", "rebound", "Rebind"
				ch.spared = "needed nothing"
			}
			return ch.run(cmd, ids)
		},
	}
	ch.one = func(ctx context.Context, c *client.Client, id string) (client.Moved, error) {
		if ch.selection.Rebind {
			return c.RebindOne(ctx, id)
		}
		return c.Retry(ctx, id)
	}
	ch.all = func(ctx context.Context, c *client.Client, progress func(client.Changed)) (client.Changed, error) {
		return c.RetryAll(ctx, ch.selection, progress)
	}
	ch.flags(cmd)
	cmd.Flags().StringVar(&ch.selection.State, "state", "dead", "deliveries in this state: dead, pending, cancelled or delivered")
	cmd.Flags().BoolVar(&ch.selection.Rebind, "rebind", false, "only take up current settings; the schedule goes on")
	completeStates(cmd)
	return cmd
}
