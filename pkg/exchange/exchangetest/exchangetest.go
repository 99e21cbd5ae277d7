// Package exchangetest lends tests the exchange that the engine lends.
package exchangetest

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// Client returns a Client that connects with dial, nil for any address without a
// guard, and whose idle connections end with the test. cfg may be nil.
func Client(tb testing.TB, dial exchange.DialFunc, cfg *tls.Config) *exchange.Client {
	tb.Helper()
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	pool := exchange.NewPool(dial, exchange.Limits{All: 256, Owner: 256})
	tb.Cleanup(pool.Close)
	return pool.Client("acme", cfg)
}
