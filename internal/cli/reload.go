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
does. With a fault in fantail.yaml nothing changes. The developers' files are
taken over each for itself: a faulty one is refused, and its developer goes on
with the last good settings. Every fault is listed with file and line. Nothing
under way is disturbed, and destinations that did not change are left alone.

"fantail validate" checks the files before.

It ends with 0 when everything was taken over and with 1 when something was refused.`,
		Example: `  fantail validate --config fantail.yaml && fantail reload
  fantail reload --server https://fantail.example:8443 --token-file operator.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			var waiting []string
			if err := e.progress().during("reloading", func() (err error) {
				waiting, err = c.Reload(cmd.Context())
				return err
			}); err != nil {
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
