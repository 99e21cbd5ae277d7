package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newReload(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make the daemon read its settings again",
		Long: `Makes the daemon read fantail.yaml and the developers' files again, as a SIGHUP
does. Either everything is taken over or, when anything is wrong, nothing: then
every fault is listed and the daemon goes on as before. Nothing under way is
disturbed, and destinations that did not change are left alone.

"fantail validate" checks the files before.`,
		Example: `  fantail validate --config fantail.yaml && fantail reload
  fantail reload --server https://fantail.example:8443 --token-file operator.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			waiting, err := c.Reload(cmd.Context())
			if err != nil {
				return err
			}
			if e.json {
				return e.printJSON(struct {
					Result  string   `json:"result"`
					Waiting []string `json:"at_next_start,omitempty"`
				}{"reloaded", waiting})
			}
			if len(waiting) > 0 {
				_, err = fmt.Fprintf(e.out, "The settings were reloaded, but these take effect at the next start: %s.\n", clean(strings.Join(waiting, ", ")))
				return err
			}
			_, err = fmt.Fprintln(e.out, "The settings were reloaded.")
			return err
		},
	}
}
