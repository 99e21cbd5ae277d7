package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

type sendFlags struct {
	developer, reference string
	brand                string
	ndjson, idempotent   bool
	patience             time.Duration
}

func newSend(e *env) *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send [--developer NAME] FILE...|-",
		Short: "Hand in events from files",
		Long: `Hands in events and waits until the daemon has them safely on disk.

A file is one event, sent byte for byte. A file named .ndjson or .jsonl, or any
with --ndjson, holds one event on each line: either the bare event, with
--developer saying whose it is, or a line as the API takes it:

  {"dev_id":"acme","reference":"...","ordering_timestamp":1767225600000,
   "idempotency_key":"...","event":{...}}

with the event's bytes as base64 in "body" instead of "event" where they span
several lines, as "fantail export" writes them.

When the daemon is busy or away it is asked again for as long as --patience
says. Every event gets an idempotency key of its own, so that asking again never
doubles it. With --idempotent the key is made of the event's content: then the
whole command can be run again after a break, and what is there already counts
as a duplicate and is not sent on twice.

It ends with 1 when any event was refused; each is named with file, line and
reason.`,
		Example: `  fantail send --developer acme activity.json sleep.json
  fantail send --developer acme --idempotent export.ndjson
  fantail send events.ndjson                            lines say whose they are
  zcat export.ndjson.gz | fantail send --ndjson --developer acme -
  fantail send --developer acme --reference order-17 --json activity.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return e.send(cmd.Context(), f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.developer, "developer", "", "whose events these are")
	flags.StringVar(&f.reference, "reference", "", "the reference of an event in a file of its own; a fresh one when left out")
	flags.StringVar(&f.brand, "brand", "terra", "the daemon's setting of that name, for --reference")
	flags.BoolVar(&f.ndjson, "ndjson", false, "one event on each line, whatever the file is called")
	flags.BoolVar(&f.idempotent, "idempotent", false, "make idempotency keys of the content, so that the command can be run again")
	flags.DurationVar(&f.patience, "patience", 5*time.Minute, "how long to keep asking a daemon that is busy or away")
	return cmd
}

// showEach is the most files of which the id of each event is shown.
const showEach = 20

// sender is one run of send.
type sender struct {
	env    *env
	flags  sendFlags
	client *client.Client
	line   *progress
	each   bool // show every event that went well
	began  time.Time
	read   int64 // bytes
	total  int64 // bytes; 0 when it cannot be known

	accepted, duplicates, failed, deliveries int
	unknown                                  int // of failed: those whose developer the daemon does not know
}

func (e *env) send(ctx context.Context, f sendFlags, names []string) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	if err := reachable(ctx, c); err != nil {
		return err
	}
	s := &sender{env: e, flags: f, client: c, line: e.progress(), began: e.now(), total: totalSize(names), each: len(names) <= showEach}
	c.Patience, c.Brand = f.patience, f.brand
	c.Waiting = func(err error, pause time.Duration) { s.waiting(err, pause) }
	err = s.all(ctx, names)
	s.line.clear()
	if s.unknown > 0 && f.developer != "" {
		err = errors.Join(err, meantDeveloper(ctx, c, f.developer))
	}
	return cmp.Or(err, s.summary())
}

func (s *sender) all(ctx context.Context, names []string) error {
	lines := &batch{sender: s}
	for _, name := range names {
		err := s.nobody()
		if err == nil {
			err = s.source(ctx, name, lines)
		}
		if err != nil {
			return fmt.Errorf("stopped at %s, what follows was not handed in: %w", name, err)
		}
	}
	return lines.flush(ctx)
}

// nobody is an error when the daemon has answered that it does not know the developer of
// --developer: it would refuse everything else as well.
func (s *sender) nobody() error {
	if s.flags.developer == "" || s.unknown == 0 || s.unknown < s.accepted+s.duplicates+s.failed {
		return nil
	}
	return fmt.Errorf("the daemon does not know the developer %q", s.flags.developer)
}

// reachable fails at once if the daemon does not answer: at the first contact waiting would not help.
func reachable(ctx context.Context, c *client.Client) error {
	err := c.Healthy(ctx)
	if _, answered := errors.AsType[*client.Error](err); answered {
		return nil // whatever it says about /healthz, there is somebody
	}
	return err
}

// source hands in one file. An error stops the run; refusals of events do not.
func (s *sender) source(ctx context.Context, name string, lines *batch) error {
	if s.flags.ndjson || isNDJSON(name) {
		return s.lines(ctx, name, lines)
	}
	body, err := s.env.readFile(name)
	if err != nil {
		s.result(outcome{Source: name, Error: &problem{Code: "unreadable_file", Message: err.Error()}})
		return nil
	}
	if s.flags.developer == "" {
		return usagef("%s is one event: say whose it is with --developer (for one event on each line there is --ndjson)", name)
	}
	s.read += int64(len(body))
	a, err := s.client.Send(ctx, client.SendRequest{
		Developer: s.flags.developer, Reference: s.flags.reference, IdempotencyKey: s.key(body), Body: body,
	})
	return s.sent(outcome{Source: name}, a, err)
}

// sent records the result of one event. It returns errors that are not a refusal of this one event.
func (s *sender) sent(o outcome, a client.Accepted, err error) error {
	if err == nil {
		o.Accepted = &a
		s.result(o)
		return nil
	}
	refused, ok := errors.AsType[*client.Error](err)
	if !ok || refused.Temporary() || refused.Status == http.StatusUnauthorized {
		return err
	}
	o.Error = &problem{refused.Code, refused.Message}
	s.result(o)
	return nil
}

func isNDJSON(name string) bool {
	switch filepath.Ext(name) {
	case ".ndjson", ".jsonl":
		return true
	}
	return false
}

func totalSize(names []string) (total int64) {
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

func (s *sender) summary() error {
	text := fmt.Sprintf("accepted %d, duplicates %d, failed %d (%s in %s)",
		s.accepted, s.duplicates, s.failed, count(s.deliveries, "delivery"), took(s.env.now().Sub(s.began)))
	if s.env.json {
		fmt.Fprintln(s.env.err, text)
	} else {
		fmt.Fprintln(s.env.out, text)
	}
	if s.failed > 0 {
		return errSilent
	}
	return nil
}
