package mysql

import (
	"context"
	"database/sql/driver"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// connector makes connections for database/sql, which opens and rolls back some in
// goroutines of its own, where a panic of the driver would end the process, and
// which counts a connection whose opening panicked as open for ever. So nothing of
// the driver is called but by way of what is in this file, which knows no panics.
type connector struct{ dialer *dialer }

var _ driver.Connector = (*connector)(nil)

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	var w *wire
	var inner driver.Conn
	err := destination.Guard(func() (err error) {
		inner, err = c.dialer.connect(ctx, func(connected *wire) { w = connected })
		return err
	})
	if err == nil {
		return &conn{inner.(session), w}, nil
	}
	if w == nil {
		return nil, err
	}
	w.Close() // when it panicked nobody else does
	return nil, w.explain(err)
}

// Driver implements driver.Connector. Nobody asks for it.
func (c *connector) Driver() driver.Driver { return nil }

// session is what the driver's connections can do and database/sql makes use of.
type session interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.SessionResetter
	driver.Validator
}

// conn is a connection of the driver.
type conn struct {
	session
	wire *wire
}

var _ session = (*conn)(nil)

// call calls the driver. A connection in which it panicked, or whose server broke
// the protocol, is of no more use.
func (c *conn) call(f func() error) error {
	err := destination.Guard(f)
	if destination.PanicOf(err) != nil {
		c.wire.Close()
	}
	return c.wire.explain(err)
}

func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	var t driver.Tx
	err := c.call(func() (err error) { t, err = c.session.BeginTx(ctx, o); return err })
	if err != nil {
		return nil, err
	}
	return &tx{c, t}, nil
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	var s driver.Stmt
	err := c.call(func() (err error) { s, err = c.session.PrepareContext(ctx, query); return err })
	if err != nil {
		return nil, err
	}
	return &stmt{s.(prepared), c}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	err = c.call(func() (err error) { r, err = c.session.ExecContext(ctx, query, args); return err })
	return r, err
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.rows(func() (driver.Rows, error) { return c.session.QueryContext(ctx, query, args) })
}

// rows are those of a query.
func (c *conn) rows(query func() (driver.Rows, error)) (driver.Rows, error) {
	var r driver.Rows
	err := c.call(func() (err error) { r, err = query(); return err })
	if err != nil {
		return nil, err
	}
	return &rows{r, c}, nil
}

// ResetSession is called before a connection that was kept is used again.
func (c *conn) ResetSession(ctx context.Context) error {
	c.wire.lease()
	return c.call(func() error { return c.session.ResetSession(ctx) })
}

func (c *conn) IsValid() bool { return !c.wire.closed.Load() && c.session.IsValid() }

func (c *conn) Close() error {
	defer c.wire.Close()
	return c.call(c.session.Close)
}

type tx struct {
	conn *conn
	driver.Tx
}

func (t *tx) Commit() error   { return t.conn.call(t.Tx.Commit) }
func (t *tx) Rollback() error { return t.conn.call(t.Tx.Rollback) }

// prepared is what the driver's statements can do; they are made where a statement
// with its values does not fit into one packet.
type prepared interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
	driver.NamedValueChecker
}

type stmt struct {
	prepared
	conn *conn
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (r driver.Result, err error) {
	err = s.conn.call(func() (err error) { r, err = s.prepared.ExecContext(ctx, args); return err })
	return r, err
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.rows(func() (driver.Rows, error) { return s.prepared.QueryContext(ctx, args) })
}

func (s *stmt) Close() error { return s.conn.call(s.prepared.Close) }

type rows struct {
	driver.Rows
	conn *conn
}

func (r *rows) Next(into []driver.Value) error {
	return r.conn.call(func() error { return r.Rows.Next(into) })
}

func (r *rows) Close() error { return r.conn.call(r.Rows.Close) }
