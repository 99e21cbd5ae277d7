package cli

import (
	"context"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/feed/sqs"
)

func newIngestSQS(e *env) *cobra.Command {
	var f ingestFlags
	var o sqs.Options
	cmd := &cobra.Command{
		Use:   "sqs --queue URL",
		Short: "Take events from a queue of Amazon SQS",
		Long: `Takes events from a queue of Amazon SQS, standard or FIFO.

A message is an event, and its attributes are its headers: see "fantail ingest
--help". A message that the daemon has is deleted; one that waits for the daemon
is kept from other consumers for as long as it waits. The key of an event is made
of the message's id.

Credentials are found as the AWS SDKs find them: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, shared files, a container's or machine's role. They need
sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility, and
sqs:SendMessage on a queue of dead letters.`,
		Example: `  fantail ingest sqs --queue https://sqs.eu-west-1.amazonaws.com/123456789012/events
  fantail ingest sqs --queue http://127.0.0.1:4566/000000000000/events --endpoint http://127.0.0.1:4566
  fantail ingest sqs --queue "$QUEUE" --developer acme --dead-letter refused.ndjson`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if u, err := url.Parse(o.Queue); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
				return usagef("--queue %q: want the URL of a queue", o.Queue)
			}
			if o.Visibility < 10*time.Second || o.Visibility > 12*time.Hour {
				return usagef("--visibility %s: want from 10s to 12h", o.Visibility)
			}
			if o.Receivers < 1 || o.Receivers > 64 {
				return usagef("--receivers %d: want from 1 to 64", o.Receivers)
			}
			o.Note = e.remark
			return e.ingest(cmd.Context(), f, o.Dead != "", func(ctx context.Context) (source, error) { return sqs.Open(ctx, o) })
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.Queue, "queue", "", "URL of the queue")
	flags.StringVar(&o.Region, "region", "", "its region (default that of the environment)")
	flags.StringVar(&o.Endpoint, "endpoint", "", "address of another provider, or of a private link")
	flags.StringVar(&o.Dead, "dead-letter-queue", "", "URL of a queue for refused messages, instead of a file")
	flags.DurationVar(&o.Visibility, "visibility", time.Minute, "how long others are not shown a message, prolonged while it waits")
	flags.IntVar(&o.Receivers, "receivers", 4, "how many ask at a time, for ten messages each")
	_ = cmd.MarkFlagRequired("queue")
	return cmd
}
