// Package faults puts a faulty network in front of a server: Toxiproxy, within
// the test's own process.
package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy passes connections on to one address. Its methods may be called while
// connections are open; they fail the test when they cannot do what they say.
type Proxy struct {
	Addr string // 127.0.0.1:port, the same for the proxy's whole life
	t    testing.TB
	p    *toxiproxy.Proxy
}

// New starts a proxy for a host:port. It is closed when the test ends.
func New(t testing.TB, upstream string) *Proxy {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics write to standard error
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "proxy", "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	t.Cleanup(p.Stop)
	return &Proxy{Addr: p.Listen, t: t, p: p}
}

// Down breaks every connection and refuses new ones.
func (p *Proxy) Down() { p.p.Stop() }

// Up accepts connections again, after Down.
func (p *Proxy) Up() {
	p.t.Helper()
	if err := p.p.Start(); err != nil {
		p.t.Fatalf("start the proxy again: %v", err)
	}
}

// Upstream has the proxy pass on to another address once it is Up again. It must be Down.
func (p *Proxy) Upstream(addr string) { p.p.Upstream = addr }

// Latency delays what the server sends.
func (p *Proxy) Latency(d time.Duration) {
	p.t.Helper()
	p.add("latency", "downstream", map[string]int64{"latency": d.Milliseconds()})
}

// Reset breaks connections with an RST as soon as the client sends: the server
// never sees the request.
func (p *Proxy) Reset() {
	p.t.Helper()
	p.add("reset_peer", "upstream", map[string]int64{"timeout": 0})
}

// LoseAnswers passes requests on, and breaks the connection instead of passing on the answer: the server
// has done what it was asked.
func (p *Proxy) LoseAnswers() {
	p.t.Helper()
	p.add("limit_data", "downstream", map[string]int64{"bytes": 0})
}

// Hang keeps connections open and passes nothing on.
func (p *Proxy) Hang() {
	p.t.Helper()
	p.add("timeout", "upstream", map[string]int64{"timeout": 0})
}

// Bandwidth limits what the client can send, in KB/s.
func (p *Proxy) Bandwidth(rate int64) {
	p.t.Helper()
	p.add("bandwidth", "upstream", map[string]int64{"rate": rate})
}

// Heal takes every fault away.
func (p *Proxy) Heal() { p.p.Toxics.ResetToxics(context.Background()) }

func (p *Proxy) add(kind, stream string, attributes map[string]int64) {
	p.t.Helper()
	toxic, err := json.Marshal(map[string]any{"type": kind, "stream": stream, "toxicity": 1, "attributes": attributes})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.p.Toxics.AddToxicJson(bytes.NewReader(toxic)); err != nil {
		p.t.Fatalf("add %s: %v", kind, err)
	}
}
