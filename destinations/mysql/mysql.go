// Package mysql writes events as rows of tables in a MySQL or MariaDB database:
// users, and payloads with links to what object storage holds.
package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/network"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var (
	_ destination.Destination = (*mysql)(nil)
	_ destination.Batcher     = (*mysql)(nil)
	_ destination.Checker     = (*mysql)(nil)
	_ destination.Explainer   = (*mysql)(nil)
	_ sqltables.Writer        = (*mysql)(nil)
)

type mysql struct {
	target     *target
	scrub      *secret.Scrubber
	tables     sqltables.Tables
	statements statements
	db         func() *sql.DB // opened at its first use, since it has a goroutine
	most       int            // connections
	sender     *sqltables.Sender
	complete   atomic.Bool   // the tables are known to be there, with their keys
	looked     atomic.Int64  // when they were looked at, in nanoseconds of Unix
	trims      atomic.Value  // a string: what to do about the column of users, which forgets spaces at the end; "": it does not
	making     chan struct{} // held by who makes tables
	refused    atomic.Bool   // a right was, or any write, since the last reconnect
}

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	if deps.Dial == nil {
		return nil, errors.New("the engine lends no network")
	}
	d, err := newDialer(t, deps.Dial)
	if err != nil {
		return nil, err
	}
	m := &mysql{target: t, scrub: secret.NewScrubber(t.password.Reveal()), tables: sqltables.Of(deps.Brand), making: make(chan struct{}, 1), most: c.MaxConnections}
	m.statements = statementsOf(m.tables)
	m.db = sync.OnceValue(func() *sql.DB {
		db := sql.OpenDB(&connector{d})
		db.SetMaxOpenConns(m.most)
		db.SetMaxIdleConns(m.most)
		db.SetConnMaxIdleTime(network.IdleTime)
		db.SetConnMaxLifetime(network.Lifetime)
		return db
	})
	if m.sender, err = sqltables.NewSender(c.Settings, deps, m); err != nil {
		return nil, err
	}
	return m, nil
}

// Send makes one attempt.
func (m *mysql) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	r := m.SendBatch(ctx, []destination.Delivery{d})[0]
	return r.Receipt, r.Err
}

// MaxBatch is how many deliveries share a transaction.
func (m *mysql) MaxBatch() int { return sqltables.MaxBatch }

// SendBatch makes one attempt of each.
func (m *mysql) SendBatch(ctx context.Context, ds []destination.Delivery) []destination.Result {
	return m.sender.Send(ctx, ds)
}

// Write stores rows in one transaction. The first looks at the tables: without
// their keys, which no error would tell of, repeats would add rows. Where
// something is missing later, it is made and the rows are tried again.
func (m *mysql) Write(ctx context.Context, rows *sqltables.Rows) (r destination.Receipt, alone bool, err error) {
	m.reconnect()
	known := m.known()
	if !known {
		err = m.makeTables(ctx)
	}
	if err == nil {
		if err = m.trimmed(ctx, rows); err != nil {
			return r, true, err
		}
		if err = m.statements.store(ctx, m.db(), rows); known && incomplete(numberOf(err)) {
			m.complete.Store(false)
			if err = m.makeTables(ctx); err == nil {
				err = m.statements.store(ctx, m.db(), rows)
			}
		}
	}
	r.Address = m.target.host.String()
	if err == nil {
		return r, false, nil
	}
	// The text quotes the server and says what to do: no answer beside it.
	r.Code = int(numberOf(err))
	if me, ok := errors.AsType[*driver.MySQLError](err); ok && m.complete.Load() {
		m.refused.Store(m.refused.Load() || readOnly(me.Number))
		err, alone = m.verdict(ctx, me, rows)
		return r, alone, err
	}
	err, alone = m.fault("write rows", err)
	return r, alone, err
}

// lookAgain is how old a look at the tables grows: no error tells that somebody has
// dropped our key, to make one of their own, and then every event adds a user.
const lookAgain = time.Minute

// known tells whether the tables were complete when they were looked at last, and
// that is not long ago.
func (m *mysql) known() bool {
	return m.complete.Load() && time.Now().UnixNano()-m.looked.Load() < int64(lookAgain)
}

// trimmed refuses users whose ids end in a space where the column is CHAR: it
// forgets the space, and not even the statement can tell two of them apart then.
// It looks again, since the column may have been changed.
func (m *mysql) trimmed(ctx context.Context, rows *sqltables.Rows) error {
	spaced := func(u sqltables.User) bool { return strings.HasSuffix(u.ID, " ") }
	if m.trims.Load() == nil || m.trims.Load() == "" || !slices.ContainsFunc(rows.Users, spaced) {
		return nil
	}
	m.complete.Store(false)
	if err := m.makeTables(ctx); err != nil {
		fault, _ := m.fault("write rows", err)
		return fault
	}
	if advice := m.trims.Load().(string); advice != "" {
		return destination.Reject(errors.New("the user_id ends in a space: " + advice))
	}
	return nil
}

// numberOf is the number of a server's error, 0 if it is none.
func numberOf(err error) uint16 {
	if me, ok := errors.AsType[*driver.MySQLError](err); ok {
		return me.Number
	}
	return 0
}

// reconnect ends the idle connections if a right was denied since it was called
// last: rights to a database are read when a connection begins, so that one from
// before they were granted never sees them. So it does if the server took no
// writes: after a failover the name leads to another one, and what was kept still
// to the old. It is called before a use and not after a denial, since others may
// come to the pool in between.
func (m *mysql) reconnect() {
	if m.refused.Swap(false) {
		m.db().SetMaxIdleConns(-1)
		m.db().SetMaxIdleConns(m.most)
	}
}

// Explain shows the rows that Send would write.
func (m *mysql) Explain(d destination.Delivery) (destination.Explanation, error) {
	x, err := sqltables.Explain(d.Event, m.sender.Catalogue, m.tables)
	x.Target = m.String()
	return x, err
}

// String says where the rows go. Together with GoString it keeps credentials
// out of every print of a destination.
func (m *mysql) String() string {
	return fmt.Sprintf("MySQL database %s at %s", m.target.database, m.target.host)
}
func (m *mysql) GoString() string { return m.String() }

// Close ends the connections.
func (m *mysql) Close() error { return errors.Join(m.db().Close(), m.sender.Close()) }
