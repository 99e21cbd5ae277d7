package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/feed"
)

// ingestFlags are those that every source has.
type ingestFlags struct {
	developer, brand string
	dead             string // file
	every            time.Duration
}

func newIngest(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ingest COMMAND",
		Short: "Take events from a queue or topic",
		Long: `Takes events from a queue of Amazon SQS or from topics of Kafka, and hands them
in to the daemon until it is told to stop.

A message is an event, byte for byte. Its attributes or headers are called as the
headers of POST /v1/events: dev-id says whose it is (without it --developer), and
terra-reference, terra-ordering-timestamp and idempotency-key are passed on.
Without a key of its own an event gets one of the source's ids, so that a message
that comes twice is one event.

A message is let go of only when the daemon has its event on disk. While the
daemon is busy or away, nothing more is read. What the daemon refuses goes to
dead letters; without any, the command ends, says which message it was and why,
and leaves it where it is.`,
		Example: `  fantail ingest                                list what there is
  fantail ingest sqs --queue https://sqs.eu-west-1.amazonaws.com/123456789012/events --developer acme
  fantail ingest kafka --brokers kafka-1:9092,kafka-2:9092 --topics events --group fantail`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIngestSQS(e), newIngestKafka(e))
	return cmd
}

func (f *ingestFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.developer, "developer", "", "whose events these are, where a message does not say so with dev-id")
	flags.StringVar(&f.brand, "brand", "terra", "the daemon's setting of that name, for the names of headers")
	flags.StringVar(&f.dead, "dead-letter", "", "file that refused messages are appended to, a JSON object on each line")
	flags.DurationVar(&f.every, "report", time.Minute, "how often to say what was taken; 0: only at the end")
}

// ingestGrace is what a request to the daemon has to end after the command was told to stop.
const ingestGrace = 10 * time.Second

// source is what events are taken from. Run returns when ctx ends.
type source interface {
	feed.DeadLetters
	Run(ctx context.Context, sink *feed.Sink) error
}

// ingest runs a source until it is told to stop. lettersToSource: dead letters go back to the
// source's side.
func (e *env) ingest(ctx context.Context, f ingestFlags, lettersToSource bool, open func(context.Context) (source, error)) error {
	if f.dead != "" && lettersToSource {
		return usagef("give one place for dead letters")
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	if err := reachable(ctx, c); err != nil { // it may start later than this command
		e.remark("waiting for the daemon: " + strings.ReplaceAll(e.advise(err), "\n", " "))
	}
	sink := &feed.Sink{
		Mapping: feed.Mapping{Developer: f.developer, Brand: f.brand},
		Poster: feed.Poster{Client: c, Patience: feed.Forever, Grace: ingestGrace, Now: e.now, Pause: e.pause, Waiting: func(err error, pause time.Duration) {
			e.remark(fmt.Sprintf("the daemon cannot take events now, asking again in %s: %v", span(pause), err))
		}},
	}
	if f.dead != "" {
		letters, err := feed.OpenLetters(f.dead)
		if err != nil {
			return err
		}
		defer letters.Close()
		sink.Dead = letters
	}
	s, err := open(ctx)
	if err != nil {
		return err
	}
	if lettersToSource {
		sink.Dead = s
	}
	began := e.now()
	stop := e.reports(f.every, sink)
	err = s.Run(ctx, sink)
	stop()
	counts := sink.Counts()
	if e.json {
		if err := e.printJSON(counts); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(e.out, "%s in %s\n", taken(counts), took(e.now().Sub(began)))
	}
	if r, ok := feed.Refused(err); ok {
		return fmt.Errorf("stopped, and the message stays where it is: %s\nMend it, or name a place for such messages with --dead-letter", clean(r.Error()))
	}
	return err
}

func taken(c feed.Counts) string {
	return fmt.Sprintf("accepted %d, duplicates %d, refused %d", c.Accepted, c.Duplicates, c.Refused)
}

// remark writes a line for whoever watches, or reads the journal.
func (e *env) remark(text string) {
	e.remarks.Lock()
	defer e.remarks.Unlock()
	fmt.Fprintf(e.err, "%s %s\n", e.now().UTC().Format(time.RFC3339), clean(text))
}

// reports says from time to time what was taken, where something was.
func (e *env) reports(every time.Duration, sink *feed.Sink) (stop func()) {
	if every <= 0 {
		return func() {}
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for last := (feed.Counts{}); ; {
			select {
			case <-tick.C:
				if c := sink.Counts(); c != last {
					e.remark(taken(c))
					last = c
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { end(); <-done }
}
