package cli

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestNothingALibraryPrintsReachesTheLog, except that it printed, and how much.
func TestNothingALibraryPrintsReachesTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		defer takeProcessLog(slog.New(slog.NewTextHandler(&out, nil)))()
		log.Print("Unsolicited response: Authorization: Bearer hunter2")
		slog.Info("by the default logger: hunter2") // it writes to package log
		log.Print("again hunter2")
		if got := out.String(); strings.Contains(got, "hunter2") || strings.Count(got, "\n") != 1 || !strings.Contains(got, "lines=1") {
			t.Errorf("the log has %q", got)
		}
		out.Reset()
		time.Sleep(quietTime)
		log.Print("hunter2")
		if got := out.String(); strings.Contains(got, "hunter2") || !strings.Contains(got, "lines=3") {
			t.Errorf("a minute later the log has %q", got)
		}
	})
}
