package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// call is one Send, or one SendBatch, of a destination. It makes one attempt at each of
// its deliveries.
type call struct {
	lane       *lane
	inst       *instance
	settings   *Settings
	attempts   []attempt
	oneAttempt [1]attempt
	began      int64 // mono
	pool       int   // of its first body
	bytes      int64 // of them together
	probe      bool  // of a held destination
	unfrozen   bool  // its deliveries were rebound meanwhile
	noted      bool  // it is a trial of what was adopted, to be written down in the store
	condemned  bool  // of crashes its delivery is dead: not tried
	unproven   bool  // of a lane that had to prove itself
	overAge    bool
	slow       bool // has a place in the slow budget
	surplus    bool // beside another of its destination
	stuck      bool // found no place there
	prev       *call
	next       *call
}

// attempt is one delivery that is tried once.
type attempt struct {
	job    *job
	event  *event.Event
	read   bool // from the store
	slot   int  // of the flight record
	ending policy.Ending
	span   *tracing.Attempt // nil: none
}

// timeout bounds the call.
func (c *call) timeout() time.Duration {
	if t := c.settings.Timeout; t > 0 {
		return t
	}
	return 30 * time.Second
}
