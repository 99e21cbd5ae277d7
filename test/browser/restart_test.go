package browser

import (
	"testing"
)

// TestTheDaemonRestartsUnderAnOpenPage: the page says that the daemon does not answer and since when what it shows
// is old, keeps it, and goes on by itself.
func TestTheDaemonRestartsUnderAnOpenPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	b := newWindow(t).tab()
	b.hurry()
	b.goTo(w.console("#/"))
	b.on("overview")
	b.reads("globex/hooks")
	if seen := b.seen(); len(seen) > 0 {
		t.Errorf("before: %q", seen)
	}

	for _, fault := range []string{"failed net::ERR_CONNECTION_REFUSED", "failed net::ERR_CONNECTION_RESET", "failed net::ERR_EMPTY_RESPONSE", "failed net::ERR_INCOMPLETE_CHUNKED_ENCODING", "failed net::ERR_SOCKET_NOT_CONNECTED"} {
		b.allow(fault)
	}
	w.stop()
	b.see("alert", ".*")
	b.reads(`The daemon does not answer`)
	b.reads(`What stands below is from \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]{3}`)
	b.reads("globex/hooks")
	b.accessible("without the daemon")

	w.start()
	b.gone("alert", ".*")
	b.reads("globex/hooks")
	b.wait("counters come again", func() bool { return b.streams("/v1/live") == 1 })
	w.send("globex", "", `{"type":"dies","data":[]}`)
	b.reads(`Dead in 24 h\s+8`)
	b.goTo(w.console("#/destinations"))
	b.on("destinations")
	b.reads("globex/hooks")
	b.gone("alert", ".*")
}
