package cli

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/explain"
	"github.com/seed-51f8da91/fantail/internal/suggest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func newExplain(e *env) *cobra.Command {
	var path, developer, reference string
	cmd := &cobra.Command{
		Use:   "explain --developer NAME BODY.json|-",
		Short: "Show who would get an event, and what exactly",
		Long: `Shows for one event which destinations of a developer would get it, and which
would not and why; and for those that would: the request with its headers, key
and body as the daemon would make it. Credentials are not shown.

Nothing is sent and no connection is made. The daemon need not run.`,
		Example: `  fantail explain --developer acme activity.json
  cat activity.json | fantail explain --config fantail.yaml --developer acme -
  fantail explain --config fantail.yaml --developer acme --reference order-17 --json activity.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.explain(path, developer, reference, args[0])
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&developer, "developer", "", "whose event it is; may be left out where there is only one")
	cmd.Flags().StringVar(&reference, "reference", "", "the producer's reference; a fresh one when left out")
	return cmd
}

func (e *env) explain(path, developer, reference, file string) error {
	snapshot, err := config.Load(path, e.kinds)
	if snapshot == nil {
		return err
	}
	dev, err := pickDeveloper(snapshot, developer)
	if err != nil {
		return err
	}
	ev, err := e.sampleEvent(dev.ID, reference, file)
	if err != nil {
		return err
	}
	for i, d := range dev.Destinations {
		x := explain.One(&snapshot.Daemon, d, uint32(i+1), ev, userAgent())
		if e.json {
			if err := e.printJSON(x); err != nil {
				return err
			}
			continue
		}
		e.printExplained(x)
	}
	if len(dev.Destinations) == 0 && !e.json {
		fmt.Fprintf(e.err, "%s has no destinations: the event would be kept and go nowhere.\n", clean(dev.ID))
	}
	return nil
}

func pickDeveloper(s *config.Snapshot, name string) (*config.Developer, error) {
	if name == "" {
		if len(s.Developers) != 1 {
			return nil, usagef("there are %s: name one with --developer", count(len(s.Developers), "developer"))
		}
		return byID(s.Developers)[0], nil
	}
	if d := s.Developers[name]; d != nil {
		return d, nil
	}
	if faults := s.Broken[name]; len(faults) > 0 {
		return nil, fmt.Errorf("the settings of %s have faults:\n%w", name, config.Faults(faults))
	}
	var known []string
	for _, d := range byID(s.Developers) {
		known = append(known, d.ID)
	}
	return nil, fmt.Errorf("there is no developer %q: %s", name, suggest.Some(name, known))
}

// sampleEvent is the event that the daemon would make of the file, accepted now.
func (e *env) sampleEvent(developer, reference, file string) (*event.Event, error) {
	body, err := e.readFile(file)
	if err != nil {
		return nil, err
	}
	envelope, err := event.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("%s would be refused: %w", file, err)
	}
	now := e.now().UTC()
	return &event.Event{
		ID: event.NewID(now, 0, rand.Uint64()), Developer: developer,
		Reference: or(reference, uuid.NewString()), Ordering: now, Envelope: envelope, Body: body,
	}, nil
}

// readFile reads a file, or standard input for "-".
func (e *env) readFile(name string) ([]byte, error) {
	if name == "-" {
		b, err := io.ReadAll(e.in)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return b, nil
	}
	return os.ReadFile(name)
}

func (e *env) printExplained(x explain.Result) {
	line := fmt.Sprintf("%s/%s (%s): %s", x.Developer, x.Destination, x.Kind, map[string]string{
		"sends": "would get it", "waits": "would wait", "filtered": "would not get it", "fails": "would fail",
	}[x.Decision])
	if x.Reason != "" {
		line += ": " + x.Reason
	}
	fmt.Fprintln(e.out, clean(line))
	if x.Request == nil {
		return
	}
	fmt.Fprintf(e.out, "    to    %s\n", clean(x.Request.Target))
	if x.Request.Key != "" {
		fmt.Fprintf(e.out, "    key   %s\n", clean(x.Request.Key))
	}
	names := make([]string, 0, len(x.Request.Headers))
	for name := range x.Request.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range x.Request.Headers[name] {
			fmt.Fprintf(e.out, "    %s: %s\n", clean(name), clean(value))
		}
	}
	fmt.Fprintf(e.out, "    body  %s\n", size(int64(len(x.Request.Body))))
	fmt.Fprintf(e.out, "%s\n\n", lines(strings.TrimSuffix(x.Request.Body, "\n")))
}
