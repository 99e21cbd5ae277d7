package exchange

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"
)

// DialFunc is net.Dialer.DialContext, or the engine's guard in its place.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Limits bound the connections that are kept idle. Those in use are bounded by
// who uses them.
type Limits struct {
	All   int // over all owners; 0: nothing is kept
	Owner int // of one owner
}

// Pool bounds what is idle over all Clients: of each owner and in all, that
// which was used last stays. Its methods, and those of its Clients, may be called
// from several goroutines at once.
type Pool struct {
	dial  DialFunc
	limit Limits

	mu     sync.Mutex
	all    places
	owners map[string]*places
	timer  *time.Timer
	next   time.Time // when timer fires; zero: it does not run
	closed bool
}

// places lists idle connections, the one that was used longest ago first.
type places struct{ list.List }

// place is where a connection stands in a list.
type place = list.Element

// NewPool returns a Pool whose Clients connect with dial.
func NewPool(dial DialFunc, limit Limits) *Pool {
	return &Pool{dial: dial, limit: limit, owners: map[string]*places{}}
}

// Client returns a Client with connections of its own, idle ones of which count
// against owner. The base of its TLS settings is cfg; nil means the defaults.
func (p *Pool) Client(owner string, cfg *tls.Config) *Client {
	return &Client{pool: p, owner: owner, base: cfg}
}

// Idle returns how many connections are kept.
func (p *Pool) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.Len()
}

// Close ends what is idle and keeps nothing from now on.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.CloseIdle()
}

// CloseIdle ends what is idle.
func (p *Pool) CloseIdle() {
	p.mu.Lock()
	gone := p.remove(func(*conn) bool { return true })
	p.mu.Unlock()
	farewell(gone)
}

// Client makes exchanges for one destination under one set of settings. Nobody
// else uses its connections or resumes its TLS sessions.
type Client struct {
	pool  *Pool
	owner string
	base  *tls.Config

	sessions tls.ClientSessionCache // made when it is needed
	once     sync.Once

	idle   []*conn // under the Pool's lock, that which was used last at the end
	closed bool
}

// With returns a Client of the same owner with other TLS settings.
func (c *Client) With(cfg *tls.Config) *Client { return c.pool.Client(c.owner, cfg) }

// TLS returns the settings of a handshake with host: those of the Client, with
// HTTP/1.1 alone and sessions of its own.
func (c *Client) TLS(host string) *tls.Config {
	c.once.Do(func() { c.sessions = tls.NewLRUClientSessionCache(4) })
	cfg := &tls.Config{}
	if c.base != nil {
		cfg = c.base.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.NextProtos = []string{"http/1.1"}
	cfg.ClientSessionCache = c.sessions
	// Small records bring the first bytes of a page early. Nobody reads a
	// request before its end, and each record costs a system call.
	cfg.DynamicRecordSizingDisabled = true
	return cfg
}

// Close ends the Client's idle connections; those in use end when their
// exchange does.
func (c *Client) Close() error {
	c.pool.mu.Lock()
	c.closed = true
	c.pool.mu.Unlock()
	c.closeIdle()
	return nil
}

func (c *Client) closeIdle() {
	c.pool.mu.Lock()
	var gone []*conn
	for len(c.idle) > 0 { // its own alone: many Clients close at once when settings change
		gone = append(gone, c.pool.forget(c.idle[0]))
	}
	c.pool.mu.Unlock()
	farewell(gone)
}

// take returns the connection of c to t that was used last; nil: there is none.
func (p *Pool) take(c *Client, t Target) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, cn := range slices.Backward(c.idle) {
		if cn.target == t && !cn.spent && now.Before(cn.expires) {
			return p.forget(cn)
		}
	}
	return nil
}

// keep keeps cn for that long; spent ones are not used again, only closed then.
func (p *Pool) keep(cn *conn, long time.Duration, spent bool) {
	p.mu.Lock()
	c := cn.client
	cn.expires, cn.spent = time.Now().Add(long), spent
	if p.closed || c.closed || p.limit.All <= 0 || p.limit.Owner <= 0 {
		p.mu.Unlock()
		farewell([]*conn{cn})
		return
	}
	own := p.owners[c.owner]
	if own == nil {
		own = &places{}
		p.owners[c.owner] = own
	}
	c.idle = append(c.idle, cn)
	cn.places = [2]*place{p.all.PushBack(cn), own.PushBack(cn)}
	var gone []*conn
	for own.Len() > p.limit.Owner {
		gone = append(gone, p.forget(own.Front().Value.(*conn)))
	}
	for p.all.Len() > p.limit.All {
		gone = append(gone, p.forget(p.all.Front().Value.(*conn)))
	}
	p.wake(cn.expires)
	p.mu.Unlock()
	farewell(gone)
}

// wake has the timer fire at t, unless it does so before.
func (p *Pool) wake(t time.Time) {
	if !p.next.IsZero() && !t.Before(p.next) {
		return
	}
	p.next = t
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(t), p.sweep)
	} else {
		p.timer.Reset(time.Until(t))
	}
}

// sweep ends what has expired.
func (p *Pool) sweep() {
	p.mu.Lock()
	now := time.Now()
	p.next = time.Time{}
	gone := p.remove(func(cn *conn) bool { return !now.Before(cn.expires) })
	first := time.Time{}
	for e := p.all.Front(); e != nil; e = e.Next() {
		if t := e.Value.(*conn).expires; first.IsZero() || t.Before(first) {
			first = t
		}
	}
	if !first.IsZero() && !p.closed {
		// What has expired is not used, so it can wait for others: a sweep looks
		// at everything.
		p.wake(later(first, now.Add(time.Second)))
	}
	p.mu.Unlock()
	farewell(gone)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// remove takes out the connections that match.
func (p *Pool) remove(match func(*conn) bool) (gone []*conn) {
	for e := p.all.Front(); e != nil; {
		cn := e.Value.(*conn)
		e = e.Next()
		if match(cn) {
			gone = append(gone, p.forget(cn))
		}
	}
	return gone
}

// forget takes cn out of every list.
func (p *Pool) forget(cn *conn) *conn {
	c := cn.client
	i := slices.Index(c.idle, cn)
	c.idle = slices.Delete(c.idle, i, i+1)
	p.all.Remove(cn.places[0])
	own := p.owners[c.owner]
	own.Remove(cn.places[1])
	if own.Len() == 0 {
		delete(p.owners, c.owner)
	}
	return cn
}

// farewell closes connections that nobody uses, outside of every lock. In TLS
// the far side is told so, which takes seconds where it does not read: nobody
// else's exchange may wait for that.
func farewell(gone []*conn) {
	for _, cn := range gone {
		switch {
		case cn.spent:
			cn.end()
		case cn.secure:
			go cn.Close()
		default:
			cn.Close()
		}
	}
}
