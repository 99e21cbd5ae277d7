package app

import (
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
)

// Attempts leave descriptors to the store and to producers.
func TestAttemptsLeaveDescriptors(t *testing.T) {
	for _, c := range []struct {
		files          uint64
		inFlight, want int
	}{{math.MaxUint64, 1024, 1024}, {65536, 1024, 1024}, {1024, 1024, 256}, {256, 1024, 64}, {256, 8, 8}, {20, 1024, 16}} {
		if got := attempts(&config.Daemon{Limits: config.Limits{InFlight: c.inFlight}}, c.files); got != c.want {
			t.Errorf("%d files, %d in flight: %d attempts, want %d", c.files, c.inFlight, got, c.want)
		}
	}
}

// Whatever the limit is, producers leave descriptors to the store and to deliveries.
func TestConnectionsLeaveDescriptors(t *testing.T) {
	for _, c := range []struct {
		files    uint64
		inFlight int
		want     int
		warns    bool
	}{
		{math.MaxUint64, 1024, enoughConnections, false},
		{65536, 1024, enoughConnections, false},
		{8192, 1024, 8192 - 1024 - 1024 - pebblestore.MaxOpenFiles - otherFiles, false},
		{4096, 1024, 1024, true},
		{1024, 1024, 256, true},
		{65536, 65536, 16384 / 2, true},
		{2048, 16, 2048 - 16 - 16 - pebblestore.MaxOpenFiles - otherFiles, false},
	} {
		var log strings.Builder
		d := &config.Daemon{Limits: config.Limits{InFlight: c.inFlight}}
		got := mostConnections(d, c.files, slog.New(slog.NewTextHandler(&log, nil)))
		if got != c.want || c.warns != strings.Contains(log.String(), "LimitNOFILE") {
			t.Errorf("%d files, %d in flight: %d connections, want %d; log %q", c.files, c.inFlight, got, c.want, log.String())
		}
	}
}
