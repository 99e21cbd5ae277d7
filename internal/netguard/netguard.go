// Package netguard is the one guard for every outgoing connection: it resolves
// names, judges the addresses, and connects to what it has judged.
package netguard

import (
	"context"
	"net"
	"net/http"
	"net/netip"
)

// Config says what is allowed besides public addresses, and how to get out.
type Config struct {
	Allow, Deny []netip.Prefix // Deny wins
	Proxy       string         // http://[user:password@]host:port; "" for none; never taken from the environment
	Source      []netip.Addr   // local addresses to connect from, in turn
	Resolver    *net.Resolver  // nil: the system's
}

// Guard connects only to addresses that are allowed.
type Guard struct{}

// New checks c and builds a guard.
func New(c Config) (*Guard, error) { panic("being written") }

// DialContext connects to address after judging what it resolves to. A refusal
// is a *destination.Fault of class Misconfigured.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	panic("being written")
}

// Client returns a client whose every connection goes through the guard, which follows no redirect and
// takes no proxy from the environment; its Transport is an *http.Transport sized for conns connections.
func (g *Guard) Client(conns int) *http.Client { panic("being written") }
