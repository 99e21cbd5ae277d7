package servers

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Ahead restarts the server on a machine whose clock is ahead of this one by so much: Debian's libfaketime tells
// it another time. Its own time-outs go on by the true one.
func (s *Private) Ahead(by time.Duration) {
	s.t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if len(found) == 0 {
		s.t.Fatal(errors.New("libfaketime is not installed: run scripts/setup long, or apt-get install libfaketime"))
	}
	s.Stop()
	s.p.env = append(s.p.env, "LD_PRELOAD="+found[0], fmt.Sprintf("FAKETIME=%+.3fs", by.Seconds()), "DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_RESET=1")
	s.Start()
}
