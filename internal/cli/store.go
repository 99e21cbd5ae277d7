package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
)

func newStore(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store COMMAND",
		Short: "Prepare a store in PostgreSQL, copy a store",
		Long:  "What stores need beside the daemon: see docs/STORES.md.",
		Example: `  fantail store                                 list what there is
  fantail store migrate --config fantail.yaml
  fantail store copy --from fantail.yaml --to fantail-postgres.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStoreMigrate(e), newStoreCopy(e), newStoreRelease(e))
	return cmd
}

func newStoreMigrate(e *env) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of the store to the version of this program",
		Long: `Makes the schema fantail in each database that store.postgres of the settings
names, or brings it to the version of this program. It may be repeated, and
daemons may run meanwhile: the version before runs on the new schema, so first
migrate, then replace the daemons.

The role of the URL needs CREATE on the database the first time, and owns what
it made: it also makes the tables of each day.`,
		Example: `  fantail store migrate --config fantail.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			daemon, err := config.LoadDaemon(path)
			if err != nil {
				return err
			}
			if !daemon.Store.Shared() {
				return errors.New("the settings name no store in PostgreSQL: the embedded one needs no migration")
			}
			m, err := pgstore.Migrate(cmd.Context(), pgstore.Options{URLs: daemon.Store.Postgres.URLs})
			if err != nil {
				return err
			}
			more := map[string]pgstore.Migrated{}
			for _, p := range daemon.Store.Postgres.More {
				if more[p.Name], err = pgstore.Migrate(cmd.Context(), pgstore.Options{URLs: p.URLs}); err != nil {
					return fmt.Errorf("primary %s: %w", p.Name, err)
				}
			}
			if e.json {
				return e.printJSON(migrated(m, more))
			}
			err = e.sayMigrated("The schema", m)
			for _, p := range daemon.Store.Postgres.More {
				if err == nil {
					err = e.sayMigrated("The schema of the primary "+p.Name, more[p.Name])
				}
			}
			return err
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func migrated(m pgstore.Migrated, more map[string]pgstore.Migrated) map[string]any {
	out := map[string]any{"from": m.From, "to": m.To}
	if len(more) > 0 {
		of := map[string]any{}
		for name, m := range more {
			of[name] = migrated(m, nil)
		}
		out["more"] = of
	}
	return out
}

func (e *env) sayMigrated(what string, m pgstore.Migrated) (err error) {
	if m.From == m.To {
		_, err = fmt.Fprintf(e.out, "%s is version %d already.\n", what, m.To)
	} else {
		_, err = fmt.Fprintf(e.out, "%s was version %d and is version %d.\n", what, m.From, m.To)
	}
	return err
}
