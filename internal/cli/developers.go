package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newDevelopers(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "developers",
		Short: "See and change developers' documents",
		Long: `Works with the documents of developers: their destinations, with all settings.
With developers: { store: {} } in fantail.yaml the daemon keeps them, with the last
50 versions of each. With a folder they are read here, and changed there.

Secrets are shown as [redacted]. A document that is handed in with [redacted]
keeps what the daemon has, while the destination leads to the same place.`,
		Example: `  fantail developers                  what there is to do with them
  fantail developers list
  fantail developers get acme
  fantail developers edit acme`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDevelopersList(e), newDevelopersGet(e), newDevelopersEdit(e), newDevelopersDelete(e), newDevelopersVersions(e),
		newDevelopersRestore(e), newDevelopersRotate(e), newDevelopersImport(e), newDevelopersExport(e))
	for _, c := range cmd.Commands() {
		switch c.Name() {
		case "import", "export":
			c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
		case "rotate-secret":
			c.ValidArgsFunction = e.offer(e.destinationsLike)
		default:
			c.ValidArgsFunction = e.offer(e.developersLike)
		}
	}
	return cmd
}

func newDevelopersList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "list [PART]",
		Short: "See who has a document",
		Long: `Lists the developers who have a document, or those with PART in their names.
FAULT says why a document is not in force: the last good settings are.`,
		Example: "  fantail developers list\n  fantail developers list acme",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			return printList(e, c.Developers(cmd.Context(), strings.Join(args, "")), 0,
				[]column{
					{head: "DEVELOPER", least: 12}, {head: "DESTINATIONS", drop: 1}, {head: "VERSION", least: 7}, {head: "CHANGED"}, {head: "BY", least: 6, drop: 2},
					{head: "FAULT", least: 24, fold: true},
				}, func(h client.DocumentHead) []string {
					changed := "-"
					if !h.At.IsZero() {
						changed = about(max(0, e.now().Sub(h.At))) + " ago"
					}
					return []string{h.Developer, strconv.Itoa(h.Destinations), versionText(h), changed, or(h.By, "-"), or(strings.Join(h.Faults, "; "), "-")}
				}, "No developers.")
		},
	}
}

func versionText(h client.DocumentHead) string {
	if h.Version == 0 {
		return "-"
	}
	return strconv.FormatUint(h.Version, 10)
}

func newDevelopersGet(e *env) *cobra.Command {
	var version uint64
	cmd := &cobra.Command{
		Use:   "get DEVELOPER[/DESTINATION]",
		Short: "See a document, or one destination of it",
		Long: `Prints a developer's document in YAML, or one destination of it. Secrets stand as
[redacted], and comments are not kept.`,
		Example: `  fantail developers get acme
  fantail developers get acme/app
  fantail developers get acme --version 7`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			developer, name, one := strings.Cut(args[0], "/")
			var d client.Document
			switch {
			case one && version > 0:
				return usagef("--version is for a whole document")
			case one:
				d, err = c.DocumentDestination(cmd.Context(), developer, name)
			case version > 0:
				d, err = c.DocumentVersion(cmd.Context(), developer, version)
			default:
				d, err = c.Document(cmd.Context(), developer)
			}
			if err != nil {
				return err
			}
			if e.json {
				return e.printJSON(struct {
					Developer string `json:"developer"`
					Version   uint64 `json:"version,omitempty"`
					Text      string `json:"text"`
				}{developer, d.Version, string(d.Text)})
			}
			_, err = fmt.Fprint(e.out, lines(string(d.Text)))
			return err
		},
	}
	cmd.Flags().Uint64Var(&version, "version", 0, "that version, not the newest")
	return cmd
}

func newDevelopersVersions(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "versions DEVELOPER",
		Short:   "See what a document was, and by whom",
		Long:    "Lists the last 50 versions of a document, newest first. A deletion is one of them.",
		Example: "  fantail developers versions acme",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			all, err := c.DocumentVersions(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printList(e, func(yield func(client.DocumentHead, error) bool) {
				for _, h := range all {
					if !yield(h, nil) {
						return
					}
				}
			}, 0, []column{{head: "VERSION", least: 7}, {head: "CHANGED", least: 20}, {head: "BY", least: 8}, {head: "NOTE"}}, func(h client.DocumentHead) []string {
				note := ""
				if h.Deleted {
					note = "deleted"
				}
				return []string{versionText(h), e.moment(h.At), h.By, note}
			}, "No versions.")
		},
	}
}

func newDevelopersRestore(e *env) *cobra.Command {
	var o client.ChangeOptions
	cmd := &cobra.Command{
		Use:   "restore DEVELOPER VERSION",
		Short: "Make an earlier version of a document the newest",
		Long: `Makes a version of a document the newest again, with the secrets that it had. It
is judged as any document is, and a developer who was removed comes back with it.`,
		Example: `  fantail developers restore acme 7 --dry-run
  fantail developers restore acme 7`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := strconv.ParseUint(args[1], 10, 64)
			if err != nil || version == 0 {
				return usagef("%q is no version: a number from 1, see \"fantail developers versions\"", args[1])
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			return e.changed(c.RestoreDocument(cmd.Context(), args[0], version, o))
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what it would do, and change nothing")
	cmd.Flags().BoolVar(&o.AllowRemoval, "allow-removal", false, "also if it removes much")
	return cmd
}

func newDevelopersRotate(e *env) *cobra.Command {
	var in time.Duration
	cmd := &cobra.Command{
		Use:   "rotate-secret DEVELOPER/DESTINATION",
		Short: "Give a destination a new secret, and see it this once",
		Long: `Makes a new secret for a webhook and prints it, this once. Attempts are signed with
it after --in, frozen retries too: until then the receiver has time to take both.
While one waits for its time, no other can be made.`,
		Example: "  fantail developers rotate-secret acme/app\n  fantail developers rotate-secret acme/app --in 1h",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			developer, name, ok := strings.Cut(args[0], "/")
			if !ok || developer == "" || name == "" {
				return usagef("%q is not of the form developer/destination, such as acme/app", args[0])
			}
			if in < 0 {
				return usagef("--in %s: want 0s or longer", in)
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			done, err := c.RotateSecret(cmd.Context(), developer, name, client.Rotation{At: e.now().Add(in).UTC()}, client.ChangeOptions{})
			if err != nil {
				return err
			}
			if e.json {
				return e.printJSON(done)
			}
			fmt.Fprintf(e.err, "The new secret of %s, which is not shown again; attempts are signed with it from %s on:\n", clean(args[0]), e.moment(done.RotateAt))
			if done.Public != "" {
				fmt.Fprintf(e.err, "The receiver verifies with %s\n", clean(done.Public))
			}
			_, err = fmt.Fprintln(e.out, clean(done.Secret))
			return err
		},
	}
	cmd.Flags().DurationVar(&in, "in", 24*time.Hour, "how long until it is used")
	return cmd
}

// changed prints what came of a change of one document.
func (e *env) changed(done client.DocumentChanged, err error) error {
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(done)
	}
	e.printNotes(done.Notes)
	if err := e.printPlan(done.Plan); err != nil {
		return err
	}
	if done.DryRun {
		_, err = fmt.Fprintln(e.out, "Nothing was changed.")
		return err
	}
	_, err = fmt.Fprintf(e.out, "%s has version %d.\n", clean(done.Developer), done.Version)
	return err
}

func newDevelopersDelete(e *env) *cobra.Command {
	var data string
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete DEVELOPER --data keep|erase",
		Short: "Remove a developer",
		Long: `Removes a developer's document, and with it their destinations: no event of theirs
is taken any more. What they have is, by --data,

  keep    kept as long as retention says; what is pending waits for a destination
          of the same name to come back ("fantail developers restore")
  erase   erased: events, bodies, payloads of the embedded payload store, versions
          of the document. What is pending is cancelled. It cannot be undone; cut
          short, it goes on when it is called again. The token needs "operate" as well

Without --data it says what they have, and changes nothing.`,
		Example: `  fantail developers delete acme
  fantail developers delete acme --data keep
  fantail developers delete acme --data erase --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if data != "" && data != "keep" && data != "erase" {
				return usagef("--data %q: want keep or erase", data)
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			ctx, developer := cmd.Context(), args[0]
			if data != "" {
				if err := e.ask(ctx, yes, func() (string, error) { return e.deletion(ctx, c, developer, data) }); err != nil {
					return err
				}
			}
			done, err := c.RemoveDeveloper(ctx, developer, data, client.ChangeOptions{})
			if err != nil {
				return err
			}
			if e.json {
				return e.printJSON(done)
			}
			if err := e.printPlan(done.Plan); err != nil {
				return err
			}
			if data == "erase" {
				_, err = fmt.Fprintf(e.out, "Erased %s and %s, cancelled %s.\n", count(done.Events, "event"), count(done.Payloads, "payload"), count(done.Cancelled, "delivery"))
			}
			if done.Left != "" {
				fmt.Fprintf(e.err, "Left: %s\n", clean(done.Left))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "what becomes of what they have: keep or erase")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	_ = cmd.RegisterFlagCompletionFunc("data", cobra.FixedCompletions([]string{"keep", "erase"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// deletion is the question before a developer goes.
func (e *env) deletion(ctx context.Context, c *client.Client, developer, data string) (string, error) {
	dry, err := c.RemoveDeveloper(ctx, developer, data, client.ChangeOptions{DryRun: true})
	if err != nil {
		return "", err
	}
	if len(dry.Plan) == 0 {
		return "", errors.New("the daemon does not say what they have")
	}
	what := strings.TrimPrefix(dry.Plan[0].String(), "- ")
	if data == "erase" {
		return "Remove " + what + ", and erase everything of theirs?", nil
	}
	return "Remove " + what + "?", nil
}
