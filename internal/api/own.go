package api

import (
	"net/http"
)

// markOfOwn is a header of every delivery to a webhook. No setting of a developer
// takes it away or sets it (destinations/webhook, reserved), and no producer needs it.
const markOfOwn = "Hook-Type"

// errOwnDelivery ends a circle at its first turn: a webhook whose url leads to this
// API would make each of its events into one more, as fast as the disk allows.
var errOwnDelivery = refuse(400, "own_delivery",
	"this is a delivery of Fantail's, not a producer's request: a webhook's url leads to this API (the header hook-type marks it; a producer leaves it out)")

// ownDelivery tells whether r is a delivery of a webhook, of this daemon or of
// another: two daemons that lead to each other are a circle, too. It holds for all
// calls that change something, since more than one of them takes an event as its body.
func ownDelivery(r *http.Request) bool {
	_, marked := r.Header[markOfOwn]
	return marked && r.Method != http.MethodGet && r.Method != http.MethodHead
}
