package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/network"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// pool lends connections, a few at a time. It has no goroutine and, after
// [network.IdleTime] without use, no connection: there may be thousands of destinations.
type pool struct {
	config *pgconn.Config
	slots  chan struct{} // one for each connection in use

	mu     sync.Mutex
	idle   []*conn // the one used last at the end
	timer  *time.Timer
	closed bool
}

// conn is a connection with its age.
type conn struct {
	*pgconn.PgConn
	born, used time.Time
	reused     bool
}

func newPool(config *pgconn.Config, most int) *pool {
	return &pool{config: config, slots: make(chan struct{}, most)}
}

// get waits for a connection. With fresh it is a new one, and what is idle is
// closed: one of them has just turned out to be dead.
func (p *pool) get(ctx context.Context, fresh bool) (*conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if fresh {
		p.drop(time.Time{})
	} else if c := p.take(); c != nil {
		return c, nil
	}
	var c *pgconn.PgConn
	err := destination.Guard(func() (err error) { c, err = pgconn.ConnectConfig(ctx, p.config); return err })
	if err != nil {
		<-p.slots
		return nil, err
	}
	return &conn{PgConn: c, born: time.Now()}, nil
}

// use lends f a connection and takes it back, whatever happens: a slot that is not
// given back is missing for ever. F tells whether the connection is of further use.
func (p *pool) use(ctx context.Context, fresh bool, f func(*conn) (keep bool, err error)) error {
	c, err := p.get(ctx, fresh)
	if err != nil {
		return err
	}
	keep := false
	defer func() { p.put(c, keep) }()
	return destination.Guard(func() (err error) { keep, err = f(c); return err })
}

func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle = p.idle[:n-1]
	c.reused = true
	network.Lend(c.Conn())
	return c
}

// put gives a connection back. One that is broken, old or within a transaction
// is ended.
func (p *pool) put(c *conn, keep bool) {
	defer func() { <-p.slots }()
	if c.IsClosed() {
		return
	}
	if !keep || c.TxStatus() != 'I' || time.Since(c.born) > network.Lifetime || !p.keep(c) {
		end(c)
	}
}

func (p *pool) keep(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	c.used = time.Now()
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(network.IdleTime, p.sweep)
	}
	return true
}

// sweep closes what was idle for too long and comes again while anything is left.
func (p *pool) sweep() {
	p.drop(time.Now().Add(-network.IdleTime))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer = nil; len(p.idle) > 0 {
		p.timer = time.AfterFunc(network.IdleTime, p.sweep)
	}
}

// drop closes the idle connections that were last used before a time; the zero
// time means all.
func (p *pool) drop(before time.Time) {
	p.mu.Lock()
	n := len(p.idle)
	if !before.IsZero() {
		for n = 0; n < len(p.idle) && p.idle[n].used.Before(before); n++ {
		}
	}
	dropped := p.idle[:n:n]
	p.idle = append([]*conn(nil), p.idle[n:]...)
	p.mu.Unlock()
	for _, c := range dropped {
		end(c)
	}
}

// close ends what is idle. Nothing is in use when it is called.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.drop(time.Time{})
}

// end says goodbye, so that the server logs no lost connection, and waits for
// nobody.
func end(c *conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx) // there is nobody to tell
}
