package pgstore

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	connectTimeout = 2 * time.Second
	// deadAfter is how long a far side may leave what we sent unacknowledged, and probes
	// unanswered. Without it a connection to a machine that is gone lives for 15 minutes.
	deadAfter = 5 * time.Second
)

// Codes of PostgreSQL's appendix A.
const (
	undefinedTable   = "42P01"
	undefinedSchema  = "3F000"
	uniqueViolation  = "23505"
	deadlockDetected = "40P01"
	serialization    = "40001"
	lockNotAvailable = "55P03"
	readOnly         = "25006"
)

// link is a connection on which every statement may be a commit. It has one user.
type link struct {
	*pgx.Conn
	connected atomic.Bool // from here on nothing more is dialled for it
	doubtful  atomic.Bool // the server said that something it committed may not be durable
}

var errNoCancel = errors.New("a connection that commits cancels nothing")

// connectLink opens a connection that commits. The driver answers every failure with a request
// to cancel, on a connection of its own. A backend that waits for the synchronous standby then
// ends its wait and shows rows that are not durable as if they were. So the driver may dial
// nothing more once the connection is there.
func (cs configs) connectLink(ctx context.Context) (*link, error) {
	l := &link{}
	var err error
	l.Conn, err = cs.with(func(c *pgx.ConnConfig) {
		dial := c.DialFunc
		c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if l.connected.Load() {
				return nil, errNoCancel
			}
			return dial(ctx, network, addr)
		}
		c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
			// The server adds this warning to a success: "The transaction has already committed locally,
			// but might not have been replicated to the standby". Its text may be in any language.
			if n.SeverityUnlocalized == "WARNING" {
				l.doubtful.Store(true)
			}
		}
	}).connect(ctx)
	l.connected.Store(true)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// cut ends the connection and tells the server nothing.
func (l *link) cut() { l.PgConn().Conn().Close() }

// configs are the databases of one store, to be tried in turn.
type configs []*pgx.ConnConfig

// with returns copies that change has changed.
func (cs configs) with(change func(*pgx.ConnConfig)) configs {
	out := make(configs, len(cs))
	for i, c := range cs {
		out[i] = c.Copy()
		change(out[i])
	}
	return out
}

// connect opens a connection to the first that takes writes.
func (cs configs) connect(ctx context.Context) (*pgx.Conn, error) {
	var errs []error
	for _, config := range cs {
		c, err := connectOne(ctx, config)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func connectOne(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout*time.Duration(1+len(config.Fallbacks)))
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// end says goodbye, so that the server logs no lost connection, and waits for nobody.
func end(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx) // there is nobody to tell
}

// dialer finds out soon that a far side is gone.
func dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3},
		Control: func(network, _ string, c syscall.RawConn) (err error) {
			if network == "unix" {
				return nil
			}
			controlled := c.Control(func(fd uintptr) {
				err = giveUp(int(fd), deadAfter)
			})
			return errors.Join(err, controlled)
		},
	}
}

// refused tells whether the server answered that it did nothing: an error that is not
// the end of the session undoes the statement and its transaction.
func refused(err error) (*pgconn.PgError, bool) {
	var e *pgconn.PgError
	ok := errors.As(err, &e) && e.SeverityUnlocalized == "ERROR"
	return e, ok
}

// is tells whether the server refused with one of these codes.
func is(err error, codes ...string) bool {
	e, ok := refused(err)
	for _, c := range codes {
		if ok && e.Code == c {
			return true
		}
	}
	return false
}
