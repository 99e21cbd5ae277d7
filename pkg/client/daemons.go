package client

import (
	"context"
	"time"
)

// Daemon is one of the daemons that work on a shared store.
type Daemon struct {
	ID        string    `json:"id"` // made anew at every start
	Name      string    `json:"name"`
	API       string    `json:"api,omitempty"` // where the others reach its API; "" where they cannot
	Version   string    `json:"version"`
	Self      bool      `json:"self"`  // it is the one that answered
	Alive     bool      `json:"alive"` // false: it ended without giving its slots back
	Started   time.Time `json:"started"`
	Seen      time.Time `json:"seen"` // when it renewed its lease last
	Slots     []int     `json:"slots"`
	Offset    float64   `json:"clock_offset_ms"` // of its clock from that of the store
	SameKeys  bool      `json:"same_keys"`       // as the one that answered
	SameFiles bool      `json:"same_files"`      // likewise
}

// Daemons lists the daemons of a shared store, by name; none with the embedded store.
func (c *Client) Daemons(ctx context.Context) ([]Daemon, error) {
	var all struct{ Items []Daemon }
	err := c.fetch(ctx, get("/v1/daemons", nil), &all)
	return all.Items, err
}
