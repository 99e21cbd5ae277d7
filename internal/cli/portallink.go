package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/session"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// portalRights are what a link to the portal may allow.
var portalRights = []string{"read", "configure", "retry", "test", "replay"}

func newPortalLink(e *env) *cobra.Command {
	q := client.PortalLinkRequest{}
	var ttl, revoke string
	cmd := &cobra.Command{
		Use:   "portal-link DEVELOPER",
		Short: "Make a link that opens a developer's portal once",
		Long: `Prints a URL that logs one browser in to the pages of one developer. Whoever has it
first has the session, until it ends: give it to nobody else. It allows no more than
the token that makes it, which needs the right "link" besides what the link is to
allow: "read", "configure", or "operate" for retry, test and replay. It ends when
that token is removed or changed, and with --revoke, which takes the id that
"fantail portal-links" lists. console.public_url says what the URL begins with.`,
		Example: `  fantail portal-link acme
  fantail portal-link acme --may read,retry --ttl 1h
  fantail portal-link --revoke lnk_abcdefghijklmnop`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			life, ok := parseSpan(ttl)
			if !ok || life < session.MinLife || life > session.MaxLife || life%time.Second != 0 {
				return usagef("--ttl %q: want from 1m to 24h, such as 10m or 6h", ttl)
			}
			if (len(args) == 1) == (revoke != "") {
				return usagef("name the developer whose portal it is, or an id with --revoke")
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			if revoke != "" {
				return e.revokePortalLink(cmd.Context(), c, revoke)
			}
			q.Developer, q.TTL = args[0], life
			return e.portalLink(cmd.Context(), c, q)
		},
	}
	cmd.Flags().StringSliceVar(&q.May, "may", []string{"read"}, "what it allows: "+strings.Join(portalRights, ", "))
	cmd.Flags().StringVar(&ttl, "ttl", "1h", "how long the link and its session live, at most 24h")
	cmd.Flags().StringVar(&revoke, "revoke", "", "end the link with this id, and its session")
	_ = cmd.RegisterFlagCompletionFunc("may", cobra.FixedCompletions(portalRights, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (e *env) portalLink(ctx context.Context, c *client.Client, q client.PortalLinkRequest) error {
	l, err := c.MakePortalLink(ctx, q)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(l)
	}
	fmt.Fprintln(e.out, clean(l.URL))
	fmt.Fprintf(e.err, "id %s, for %s, ends %s\n", clean(l.ID), clean(strings.Join(l.May, ", ")), e.moment(l.Ends))
	return nil
}

func (e *env) revokePortalLink(ctx context.Context, c *client.Client, id string) error {
	if err := c.RevokePortalLink(ctx, id); err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]string{"revoked": id})
	}
	fmt.Fprintf(e.out, "revoked %s\n", clean(id))
	return nil
}

func newPortalLinks(e *env) *cobra.Command {
	var developer string
	var limit int
	cmd := &cobra.Command{
		Use:     "portal-links",
		Short:   "See the links to portals that live",
		Long:    `Lists the links that have not ended, newest first, without what opens them. "fantail portal-link --revoke ID" ends one.`,
		Example: "  fantail portal-links --developer acme",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit %d: want at least 1", limit)
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			return printList(e, c.PortalLinks(cmd.Context(), developer), limit, []column{
				{head: "ID", least: 20}, {head: "DEVELOPER", least: 10}, {head: "MAY", least: 4}, {head: "BY", least: 6, drop: 2}, {head: "USED", least: 20, drop: 1}, {head: "ENDS", least: 20},
			}, func(l client.PortalLink) []string {
				return []string{l.ID, l.Developer, strings.Join(l.May, ","), l.By, e.moment(l.Used), e.moment(l.Ends)}
			}, "No links live.")
		},
	}
	cmd.Flags().StringVar(&developer, "developer", "", "only links to this developer's portal")
	cmd.Flags().IntVar(&limit, "limit", 50, "print at most so many")
	return cmd
}
