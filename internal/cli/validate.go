package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
)

func newValidate(e *env) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check fantail.yaml and the developers' files",
		Long: `Reads fantail.yaml and the files of all developers, and reports everything
that is wrong with them at once, each with file and line. References such as
${env:NAME} and ${file:PATH} are resolved and the certificate of "tls" is read,
so run it where the daemon runs.

It opens nothing: no store, no listener, no connection to a destination. The
daemon need not run.

It ends with 0 when everything is in order and with 1 when something is not.`,
		Example: `  fantail validate --config fantail.yaml
  fantail validate --config /etc/fantail/fantail.yaml --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.validate(cmd.Context(), path) },
	}
	configFlag(cmd, &path)
	return cmd
}

// configFlag adds --config, which names the daemon's own settings.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "fantail.yaml", "settings of the daemon")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

type validation struct {
	Valid        bool           `json:"valid"`
	Faults       []fault        `json:"faults"`
	Warnings     []fault        `json:"warnings"`
	Developers   int            `json:"developers"`
	Destinations int            `json:"destinations"`
	Kinds        map[string]int `json:"kinds"`
	Limits       *api.Limits    `json:"limits,omitempty"`
}

// fault is a config.Fault as JSON.
type fault struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
}

func (e *env) validate(ctx context.Context, path string) error {
	var snapshot *config.Snapshot
	err := e.progress().during("reading the settings", func() (err error) {
		snapshot, err = config.NewLoader(path, e.kinds).Load(ctx)
		return err
	})
	found, ok := errors.AsType[config.Faults](err)
	if err != nil && !ok {
		return err
	}
	if err == nil && snapshot.Daemon.TLS.Cert != "" {
		if _, err := tls.LoadX509KeyPair(snapshot.Daemon.TLS.Cert, snapshot.Daemon.TLS.Key); err != nil {
			found = append(found, config.Fault{File: path, Message: fmt.Sprintf("tls: read cert and key: %v", err)})
		}
	}
	v := validation{Valid: len(found) == 0, Faults: []fault{}, Warnings: []fault{}, Kinds: map[string]int{}}
	for _, f := range found {
		v.Faults = append(v.Faults, fault(f))
	}
	if snapshot != nil {
		v.Developers, v.Destinations = snapshot.Size()
		limits := api.LimitsOf(snapshot.Daemon.Limits)
		v.Limits = &limits
		for _, f := range snapshot.Notes {
			v.Warnings = append(v.Warnings, fault(f))
		}
		for _, text := range warnings(snapshot) {
			v.Warnings = append(v.Warnings, fault{File: path, Message: text})
		}
		for _, d := range snapshot.Developers {
			for _, t := range d.Destinations {
				v.Kinds[t.Kind]++
			}
		}
	}
	return e.printValidation(path, v)
}

func (e *env) printValidation(path string, v validation) error {
	if e.json {
		if err := e.printJSON(v); err != nil {
			return err
		}
	} else {
		for _, f := range v.Faults {
			fmt.Fprintln(e.err, clean(config.Fault(f).Error()))
		}
		for _, f := range v.Warnings {
			fmt.Fprintf(e.err, "warning: %s\n", clean(config.Fault(f).Error()))
		}
	}
	switch {
	case !v.Valid && e.json:
		return errSilent
	case !v.Valid:
		return fmt.Errorf("%s to mend", count(len(v.Faults), "fault"))
	case !e.json:
		fmt.Fprintf(e.out, "%s is in order: %s, %s%s.\n", clean(path),
			count(v.Developers, "developer"), count(v.Destinations, "destination"), v.kinds())
		fmt.Fprintln(e.out, boundsOf(&v.Limits.PerDeveloper))
	}
	return nil
}

// boundsOf says what each developer may have.
func boundsOf(p *api.PerDeveloper) string {
	attempts := "any number of attempts"
	if p.Attempts > 0 {
		attempts = fmt.Sprintf("%g attempts a second", p.Attempts)
	}
	return fmt.Sprintf("Each developer may have %s, %s, waits of at least %s, and RSA keys of at most %d bits (limits.per_developer).",
		count(p.Destinations, "destination"), attempts, time.Duration(p.ShortestWait)*time.Millisecond, p.KeyBits)
}

// kinds is " (3 webhook, 1 s3)", or nothing.
func (v validation) kinds() string {
	if len(v.Kinds) == 0 {
		return ""
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(v.Kinds)) {
		parts = append(parts, fmt.Sprintf("%d %s", v.Kinds[kind], kind))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// warnings are remarks on settings that are allowed but may not be meant.
func warnings(s *config.Snapshot) (w []string) {
	if len(s.Developers)+len(s.Broken) == 0 {
		w = append(w, "no developers: every event is refused")
	}
	for _, d := range byID(s.Developers) {
		if len(d.Destinations) == 0 {
			w = append(w, d.ID+" has no destinations: events are kept and go nowhere")
		}
		for _, t := range d.Destinations {
			if !t.Enabled {
				w = append(w, d.ID+"/"+t.Name+" is disabled: its deliveries wait")
			}
		}
	}
	return w
}

func byID(developers map[string]*config.Developer) []*config.Developer {
	return slices.SortedFunc(maps.Values(developers), func(a, b *config.Developer) int { return cmp.Compare(a.ID, b.ID) })
}

// count is "1 fault", "2 faults".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
