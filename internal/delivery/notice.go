package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// The names of notices.
const (
	DestinationHeld    = "destination.held"
	DestinationResumed = "destination.resumed"
	DestinationFailing = "destination.failing"
	DeliveryDead       = "delivery.dead"
)

// ByHand is the reason of what a person did.
const ByHand = "by hand"

// Notice is something that the operator may want to hear of.
type Notice struct {
	Name        string
	At          time.Time
	Destination store.DestinationKey
	Reason      string           // fit to show
	Since       time.Time        // of the failures, or of the hold that ended; zero: none
	Attempts    int              // that failed since
	Delivery    store.DeliveryID // that is dead
}

// notify tells of d.
func (s *Scheduler) notify(d *dest, n Notice, now instant) {
	if s.tell != nil {
		n.At, n.Destination = now.time().UTC(), d.key
		s.tell(n)
	}
}
