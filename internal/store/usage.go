package store

import (
	"context"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Usage tells what destinations were used for, day by day. It is read from the
// counters that Audit sums, so both say the same, and is kept as long.
type Usage interface {
	// Usage calls each for every day and destination that q selects and that has counters,
	// by day and then by destination, as all of them stood at one moment. The row is
	// each's until it returns. It reads only the days that q names and, where q names few
	// destinations, only theirs.
	Usage(ctx context.Context, q UsageQuery, each func(*UsageRow)) error
}

// UsageQuery selects days and destinations.
type UsageQuery struct {
	Since, Until event.Day // Until is not included; 0: all from Since on
	Dests        []uint32  // nil: all
}

// UsageRow is what was accepted for one destination on one day, and what has
// become of it until now. A delivery that a replay made counts on the day of the
// replay, as it does in DeliveryID.Day.
type UsageRow struct {
	Day    event.Day
	Dest   uint32
	Counts Counts

	// Attempts are those in the log of these deliveries, but for the class
	// "expired", which is none; Bytes are those of their bodies, each delivery's.
	// Both are 0 and Partial is set where a program that did not count them yet has
	// made some of the deliveries.
	Attempts int64
	Bytes    int64
	Partial  bool
}
