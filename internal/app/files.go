package app

import (
	"log/slog"
	"math"
	"syscall"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// openFiles is how many descriptors the process may have. Go's runtime has raised
// the soft limit to the hard one when it started.
func openFiles() uint64 {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return math.MaxUint64
	}
	return files.Cur
}

// idleLimits leaves most descriptors to the store, to the API and to
// connections in use. One developer may keep a quarter of what is kept.
func idleLimits(d *config.Daemon, files uint64) exchange.Limits {
	most := d.Limits.InFlight
	if files < uint64(4*most) {
		most = int(files / 4)
	}
	return exchange.Limits{All: most, Owner: max(most/4, 1)}
}

// attempts returns how many attempts may run at a time: each may need a
// descriptor, and without one neither events nor outcomes can be stored.
func attempts(d *config.Daemon, files uint64) int {
	return int(min(uint64(d.Limits.InFlight), max(files/4, 16)))
}

const (
	// enoughConnections of producers cost some 200 MB of memory when all are idle.
	enoughConnections = 8192
	// otherFiles are listeners, the flight record, files of payloads, name servers.
	otherFiles = 64
)

// mostConnections returns how many connections producers may have at a time. What
// the store, attempts and kept connections may need is not theirs: without
// descriptors no event can be stored, and no outcome recorded. Where there are too
// few for that, they get a quarter.
func mostConnections(d *config.Daemon, files uint64, log *slog.Logger) int {
	reserve := uint64(pebblestore.MaxOpenFiles + d.Limits.InFlight + idleLimits(d, files).All + otherFiles)
	if files-files/4 >= reserve {
		return int(min(files-reserve, enoughConnections))
	}
	log.Warn("the limit of open files is low: raise it (LimitNOFILE), or lower limits.in_flight",
		"limit", files, "wanted", reserve+reserve/2, "attempts at a time", attempts(d, files))
	return int(min(files/4, enoughConnections))
}
