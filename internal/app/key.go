package app

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/config"
)

// ensureKey makes the key file of a first start. A store that is there already
// holds settings sealed with the key that is missing: with a new one their
// retries would wait for ever, so a person has to decide.
func ensureKey(path string, log *slog.Logger) error {
	made, err := config.EnsureKeyFile(path)
	if err != nil || len(made) == 0 {
		return err
	}
	if daemon, err := config.LoadDaemon(path); err == nil {
		if files, err := os.ReadDir(daemon.Store.Pebble.Dir); err == nil && len(files) > 0 {
			for _, file := range made {
				os.Remove(file)
			}
			file := strings.Join(made, ", ")
			return fmt.Errorf("the key file %s is missing, and the store in %s holds settings that are sealed with it: put it back, "+
				"or give up the retries that need it by making a new one (head -c 32 /dev/urandom | base64 > %s; chmod 600 %s)",
				file, daemon.Store.Pebble.Dir, file, file)
		}
	}
	for _, file := range made {
		log.Warn("made a new key, which seals stored settings: keep a copy where you keep secrets", "file", file)
	}
	return nil
}
