package cli

import (
	"fmt"

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
			if err := c.Reload(cmd.Context()); err != nil {
				return err
			}
			if e.json {
				return e.printJSON(map[string]string{"result": "reloaded"})
			}
			_, err = fmt.Fprintln(e.out, "The settings were reloaded.")
			return err
		},
	}
}
