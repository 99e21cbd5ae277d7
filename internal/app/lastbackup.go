package app

import (
	"os"
	"path/filepath"
	"time"
)

// lastBackup is the name of the empty file in the store's folder whose time is that
// of the last backup: the age of a backup must not begin anew with every restart.
const lastBackup = "last-backup"

func (a *App) lastBackup() string {
	return filepath.Join(a.started.Store.Dir(), lastBackup)
}

// backedUp notes that a backup was written at the time at.
func (a *App) backedUp(at time.Time) {
	err := os.WriteFile(a.lastBackup(), nil, 0o600)
	if err == nil {
		err = os.Chtimes(a.lastBackup(), at, at)
	}
	if err != nil {
		a.log.Warn("the time of the backup could not be kept: the alert on its age will fire too early", "error", err)
	}
}

// backupTime is when the last backup was begun, in unix seconds; 0 for none.
func (a *App) backupTime() float64 {
	info, err := os.Stat(a.lastBackup())
	if err != nil {
		return 0
	}
	return float64(info.ModTime().UnixMilli()) / 1000
}
