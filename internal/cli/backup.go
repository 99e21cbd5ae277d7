package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newBackup(e *env) *cobra.Command {
	var (
		offline bool
		path    string
	)
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Write a consistent copy of the store",
		Long: `Writes a consistent copy of the store to a folder that does not exist yet:
events, deliveries, attempts, counters. The daemon writes it, on its machine,
while it works; a relative DIR starts where this command runs.

With --offline it is written here and now from the store that --config names;
the daemon must be stopped then.

The key file, the settings and the payloads are not in it: keep them apart. The
store's settings are encrypted with the key, so a backup is of no use without it.`,
		Example: `  fantail backup /var/backups/fantail-2026-07-01
  fantail backup --offline --config fantail.yaml backups/before-upgrade`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !offline && cmd.Flags().Changed("config") {
				return usagef("--config goes with --offline: otherwise the daemon writes the backup")
			}
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return fmt.Errorf("find %s: %w", args[0], err)
			}
			write := e.backupOnline
			if offline {
				write = func(ctx context.Context, dir string) error { return e.backupOffline(ctx, path, dir) }
			}
			if err := e.progress().during("backing up", func() error { return write(cmd.Context(), dir) }); err != nil {
				return err
			}
			if e.json {
				return e.printJSON(map[string]string{"dir": dir})
			}
			_, err = fmt.Fprintf(e.out, "The backup is in %s.\n", clean(dir))
			return err
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "open the store here; the daemon must be stopped")
	configFlag(cmd, &path)
	return cmd
}

func (e *env) backupOnline(ctx context.Context, dir string) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	err = c.Backup(ctx, dir)
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusConflict {
		return fmt.Errorf("%s is there already on the daemon's machine: name a folder that does not exist", dir)
	}
	return err
}

func (e *env) backupOffline(ctx context.Context, path, dir string) (err error) {
	act, err := e.act("createBackup", dir)
	if err != nil {
		return err
	}
	d, err := e.storeDir(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(d); err != nil {
		return fmt.Errorf("there is no store to back up: %w", err)
	}
	s, err := pebblestore.Open(d, pebblestore.Options{Log: slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return fmt.Errorf("open the store in %s (is the daemon stopped?): %w", d, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Backup(ctx, dir); err != nil {
		return err
	}
	return s.Note(ctx, time.Now(), []store.Act{act})
}

// storeDir returns where the store of the daemon with these settings lies.
// Faults in the developers' files do not matter for that.
func (e *env) storeDir(path string) (string, error) {
	snapshot, err := config.Load(path, e.kinds)
	if snapshot == nil {
		return "", err
	}
	if snapshot.Daemon.Store.Shared() {
		return "", pgstore.ErrBackup
	}
	return snapshot.Daemon.Store.Pebble.Dir, nil
}
