package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
)

func newRestore(e *env) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "Put a backup in the place of the store",
		Long: `Copies a backup made by "fantail backup" to where the settings say that the
store lies. The daemon must be stopped, and there must be no store in that
place: move an old one aside first. The backup itself is left as it is. The trail
of the copy ("fantail changes") says that it was restored, and from where.

What was pending when the backup was made is delivered again once the daemon
runs, with the same ids, so that receivers can tell what they have already.`,
		Example: `  mv data/store data/store.broken
  fantail restore --config fantail.yaml /var/backups/fantail-2026-07-01
  fantail serve --config fantail.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := e.storeDir(path)
			if err != nil {
				return err
			}
			from, err := filepath.Abs(args[0])
			if err != nil {
				return fmt.Errorf("find %s: %w", args[0], err)
			}
			act, err := e.act("restore", from)
			if err != nil {
				return err
			}
			if err := e.progress().during("restoring", func() error { return pebblestore.Restore(args[0], dir, act) }); err != nil {
				return err
			}
			if e.json {
				return e.printJSON(map[string]string{"dir": dir})
			}
			_, err = fmt.Fprintf(e.out, "The store is in %s. Start the daemon with \"fantail serve --config %s\".\n", clean(dir), clean(path))
			return err
		},
	}
	configFlag(cmd, &path)
	return cmd
}
