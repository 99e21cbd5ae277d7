package app

import (
	"path/filepath"
	"testing"
	"time"
)

// TestTheAgeOfTheBackupOutlivesARestart: the alert on it must not begin anew.
func TestTheAgeOfTheBackupOutlivesARestart(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "app", "")
	d := h.start()
	a := d.App
	if got := a.backupTime(); got != 0 {
		t.Errorf("before the first backup: %v", got)
	}
	before := time.Now().Add(-time.Second).Unix()
	dir := filepath.Join(t.TempDir(), "b")
	if err := a.Backup(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	first := a.backupTime()
	if int64(first) < before || int64(first) > time.Now().Unix()+1 {
		t.Errorf("%v after a backup just now", first)
	}
	if err := a.Backup(t.Context(), dir); err == nil {
		t.Error("a backup over a backup")
	}
	if got := a.backupTime(); got != first {
		t.Errorf("%v after a backup that failed, was %v", got, first)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	a = h.start().App
	if got := a.backupTime(); got != first {
		t.Errorf("%v after a restart, was %v", got, first)
	}
}
