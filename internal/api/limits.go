package api

import (
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// Limits are the operator's bounds as JSON; 0 is no limit. Sizes are bytes, rates
// are of a second.
type Limits struct {
	Body          int64        `json:"body"`
	BodyRate      float64      `json:"body_rate"` // that a body must come with
	InFlight      int          `json:"in_flight"`
	InFlightBytes int64        `json:"in_flight_bytes"`
	Lag           int64        `json:"lag_ms"` // of deliveries before producers are slowed down
	PerDeveloper  PerDeveloper `json:"per_developer"`
}

// PerDeveloper are the bounds of each developer.
type PerDeveloper struct {
	Rate         float64 `json:"rate"` // events
	Pending      int64   `json:"pending"`
	Bytes        int64   `json:"bytes"`
	Destinations int     `json:"destinations"`
	Attempts     float64 `json:"attempts"`
	ShortestWait int64   `json:"shortest_wait_ms"`
	KeyBits      int     `json:"key_bits"` // of RSA keys; not a setting
}

// LimitsOf returns the limits of the settings.
func LimitsOf(l config.Limits) Limits {
	p := l.PerDeveloper
	return Limits{l.Body, l.BodyRate, l.InFlight, l.InFlightBytes, l.Lag.Milliseconds(), PerDeveloper{
		p.Rate, p.Pending, p.Bytes, p.Destinations, p.Attempts, p.ShortestWait.Milliseconds(), signature.MaxRSABits,
	}}
}

// limits says what holds now.
func (a *API) limits(c *call) error { return c.json(200, LimitsOf(a.Daemon.Limits())) }
