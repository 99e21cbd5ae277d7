package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newErase(e *env) *cobra.Command {
	var (
		developer string
		yes       bool
	)
	cmd := &cobra.Command{
		Use:   "erase --developer NAME USER",
		Short: "Erase what is stored about a user",
		Long: `Overwrites the bodies of all events of a user of a developer and what else names
him, and cancels what is still on its way. It cannot be undone. That it was
done, when, and with which token is kept. What destinations have received
already is theirs to erase. Payloads stay in the payload store: no fresh link is
made to them while the event is known, and links that were made before work until
they expire, up to seven days. docs/CONFIGURATION.md says how to delete them.`,
		Example: `  fantail erase --developer acme 40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad
  fantail erase --developer acme --yes --json 40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			if !yes && e.inTerminal && !e.errTerminal {
				return usagef("nobody would see the question whether it is meant: say --yes")
			}
			if !yes && e.inTerminal &&
				!e.confirm(fmt.Sprintf("Erase everything stored about user %s of %s, for good?", clean(args[0]), clean(developer))) {
				return errors.New("nothing was erased")
			}
			report, err := c.Erase(cmd.Context(), developer, args[0])
			if err != nil {
				return err
			}
			if e.json {
				return e.printJSON(report)
			}
			_, err = fmt.Fprintf(e.out, "erased %s, cancelled %s\n", count(report.Events, "event"), count(report.Cancelled, "pending delivery"))
			return err
		},
	}
	cmd.Flags().StringVar(&developer, "developer", "", "whose user it is")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	_ = cmd.MarkFlagRequired("developer")
	return cmd
}

// confirm asks a question that only y or yes answers with yes.
func (e *env) confirm(question string) bool {
	fmt.Fprintf(e.err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(e.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}
