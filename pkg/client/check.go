package client

import (
	"context"
	"time"
)

// Check is what a check of a destination found.
type Check struct {
	At       time.Time `json:"at"`
	Millis   int64     `json:"ms"`
	Result   string    `json:"result"`                       // of the worst finding
	Expires  time.Time `json:"certificate_expires,omitzero"` // when the first certificate ends that was seen
	Findings []Finding `json:"findings"`                     // in lists only those that are not ok
}

// Finding is one thing that a check looked at.
type Finding struct {
	Name    string `json:"name"`   // state, dns, guard, connect, tls, access, check
	Result  string `json:"result"` // ok, warn (deliveries can be made; somebody should look), fail (they cannot)
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"` // what to do
}

// Check checks a destination now, which sends it nothing that it could take for
// an event, and returns it with every finding. It takes up to 30 s where the far
// side does not answer; what is found is never an error.
func (c *Client) Check(ctx context.Context, developer, name string) (Destination, error) {
	var d Destination
	r, err := post(destinationPath(developer, name, "check"), nil)
	if err == nil {
		err = c.fetch(ctx, r, &d)
	}
	return d, err
}
