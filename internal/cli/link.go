package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newLink(e *env) *cobra.Command {
	var r client.LinkRequest
	var ttl string
	cmd := &cobra.Command{
		Use:   "link ID",
		Short: "Make a link to a payload",
		Long: `Prints a URL at which a payload can be had without any other credential until
it expires; whoever has it has the payload. When it expires goes to standard
error: sooner than asked for where the credentials that signed it, or the payload
itself, end sooner.

ID is that of an event, for all of it, or of one item of an event with several:
the payload_id in a table. With -item after it, it is what destinations with
content: item link to. Any event whose body is still kept can be linked to,
whatever destinations it went to. A payload may outlive everything else that is
known of its event: then --developer says whose it was.`,
		Example: `  fantail link 019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d
  fantail link 019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d-3 --ttl 7d
  fantail link 019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d --developer acme --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			life, ok := parseSpan(ttl)
			if !ok || life < time.Second || life > payload.MaxTTL || life%time.Second != 0 {
				return usagef("--ttl %q: want from 1s to 7d, such as 10m, 6h or 2d", ttl)
			}
			r.Payload, r.TTL = args[0], life
			c, err := e.client()
			if err != nil {
				return err
			}
			return e.link(cmd.Context(), c, r)
		},
	}
	cmd.Flags().StringVar(&ttl, "ttl", "1h", "how long the link shall live, at most 7d")
	cmd.Flags().StringVar(&r.Developer, "developer", "", "whose payload it is; needed when the event itself is not known any more")
	return cmd
}

func (e *env) link(ctx context.Context, c *client.Client, r client.LinkRequest) error {
	l, err := c.Link(ctx, r)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(l)
	}
	fmt.Fprintln(e.out, clean(l.URL))
	fmt.Fprintf(e.err, "expires %s\n", e.moment(l.Expires))
	return nil
}
