// Package cli is the command line: one file for each subcommand. Commands that
// ask or tell the daemon go through pkg/client; those that need no daemon say
// so in their help.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/build"
	"github.com/seed-51f8da91/fantail/internal/trail"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Exit codes of [Run].
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell says of what SIGINT ended
)

// Run runs the command line args, without the program's name, until it is done
// or ctx ends, and returns the exit code: 0 well, 1 failed, 2 wrong usage, 130
// interrupted.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, kinds destination.Registry) int {
	return newEnv(stdin, stdout, stderr, kinds).run(ctx, args)
}

// Command is the command line as one tree, for its manual and its completion.
func Command(kinds destination.Registry) *cobra.Command {
	return newRoot(newEnv(strings.NewReader(""), io.Discard, io.Discard, kinds))
}

func (e *env) run(ctx context.Context, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	e.closeIdle()
	return e.report(ctx, cmd, err)
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "fantail",
		Short: "Deliver every event to every destination, and lose none",
		Long: `Fantail takes health-data events and delivers each one to every destination
that its developer configured. It accepts an event only once it is safely on
disk, keeps trying for just over a day, and can show at any moment where every
event went.

The daemon is "fantail serve". Every other command that asks it or tells it
something finds it with --server and shows its token with --token-file, or with
FANTAIL_SERVER and FANTAIL_TOKEN_FILE in the environment.

Exit codes: 0 done; 1 it failed, or found something that is wrong; 2 wrong usage,
and nothing was done; 130 interrupted, as by Ctrl-C. The daemon, "receive",
"ingest" and "generate" end with 0 when they are told to stop.`,
		Example: `  fantail demo                                  see it work, in a few seconds
  fantail serve --config fantail.yaml           run the daemon
  fantail send --developer acme event.json      hand in an event
  fantail deliveries --developer acme           see where events went
  fantail destinations                          see who is well and who is not`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SuggestionsMinimumDistance = 2
	root.Version = build.Read().Line()
	root.SetVersionTemplate("fantail {{.Version}}\n")
	root.Flags().Bool("version", false, "print the version of this binary")
	f := root.PersistentFlags()
	f.StringVar(&e.server, "server", "", "address of the daemon (default $FANTAIL_SERVER, else "+defaultServer+")")
	f.StringVar(&e.token, "token", "", "token for the daemon's API (default $FANTAIL_TOKEN); others on this machine can see it, so prefer --token-file")
	f.StringVar(&e.tokenFile, "token-file", "", "file that holds the token (default $FANTAIL_TOKEN_FILE)")
	f.BoolVar(&e.json, "json", false, "print JSON: one object, or one line for each item of a list")
	e.addCommands(root)
	root.SetHelpCommand(newHelp())
	e.complete(root)
	markFailures(root)
	return root
}

func (e *env) addCommands(root *cobra.Command) {
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run the daemon:"},
		&cobra.Group{ID: "events", Title: "Events and deliveries:"},
		&cobra.Group{ID: "destinations", Title: "Destinations and settings:"},
		&cobra.Group{ID: "store", Title: "Looking after the store:"},
	)
	for _, g := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{"run", []*cobra.Command{newServe(e), newDemo(e)}},
		{"events", []*cobra.Command{newSend(e), newEvents(e), newDeliveries(e), newTail(e), newIngest(e), newRetry(e), newCancel(e), newReplay(e), newExport(e), newLink(e), newGenerate(e), newReceive(e)}},
		{"destinations", []*cobra.Command{newDestinations(e), newPause(e), newResume(e), newRebind(e), newDevelopers(e), newApply(e), newDiff(e), newReload(e), newValidate(e), newExplain(e), newCheck(e), newTest(e), newPortalLink(e), newPortalLinks(e)}},
		{"store", []*cobra.Command{newAudit(e), newUsage(e), newChanges(e), newDaemons(e), newErase(e), newBackup(e), newRestore(e), newStore(e)}},
		{"", []*cobra.Command{newVersion(e)}},
	} {
		for _, c := range g.commands {
			c.GroupID = g.id
			e.reasonFlag(c)
			root.AddCommand(c)
		}
	}
}

// acting are the commands that change something, or read a body, and may have a reason. pause is not
// among them: its reason is an option of its own, which the destination shows.
var acting = []string{"retry", "cancel", "replay", "resume", "rebind", "reload", "check", "test", "link", "portal-link", "erase", "backup", "restore", "events", "export", "apply", "developers"}

func (e *env) reasonFlag(c *cobra.Command) {
	if slices.Contains(acting, c.Name()) {
		c.PersistentFlags().StringVar(&e.why, "reason", "", fmt.Sprintf(`why, for whoever reads "fantail changes"; at most %d bytes`, trail.MaxReason))
	}
}

// newHelp is cobra's help command; this one exits with 0 whatever it is asked for.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command",
		Long:    "Explains a command, as --help after it does.",
		Example: "  fantail help serve",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			asked, _, err := cmd.Root().Find(args)
			if err == nil {
				for _, sub := range asked.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, sub.Name())
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usageError{err}
			}
			if len(rest) > 0 {
				return usageError{unknownCommand(asked, rest[0])}
			}
			return asked.Help()
		},
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	text := fmt.Sprintf("there is no command %q", name)
	if hint := meant[name]; hint != "" && !cmd.HasParent() {
		return errors.New(text + ": " + hint)
	}
	if s := cmd.SuggestionsFor(name); len(s) > 0 {
		text += "; did you mean " + strings.Join(s, " or ") + "?"
	}
	return errors.New(text)
}

// failure marks an error of a command that had begun its work. An error that cobra finds before that
// is wrong usage.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// usageError is wrong usage that only the command itself can see.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func markFailures(c *cobra.Command) {
	if args := c.Args; c.HasParent() {
		c.Args = func(cmd *cobra.Command, given []string) error {
			if args != nil && args(cmd, given) != nil {
				return fmt.Errorf("got %s, want %q", count(len(given), "argument"), cmd.UseLine())
			}
			if slices.Contains(given, "") { // a variable of a script that is not set
				return fmt.Errorf("an argument is empty, want %q", cmd.UseLine())
			}
			return nil
		}
	}
	if run := c.RunE; run != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			err := checkStates(cmd)
			if err == nil {
				err = run(cmd, args)
			}
			if err != nil {
				return failure{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		markFailures(sub)
	}
}
