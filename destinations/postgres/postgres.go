// Package postgres writes events as rows of tables in a PostgreSQL database:
// users, and payloads with links to what object storage holds.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/network"
	"github.com/seed-51f8da91/fantail/destinations/internal/pgclient"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var (
	_ destination.Destination = (*postgres)(nil)
	_ destination.Batcher     = (*postgres)(nil)
	_ destination.Checker     = (*postgres)(nil)
	_ destination.Explainer   = (*postgres)(nil)
	_ sqltables.Writer        = (*postgres)(nil)
)

type postgres struct {
	target     *pgclient.Target
	scrub      *secret.Scrubber
	schema     string
	tables     sqltables.Tables
	statements statements
	network    *network.Network
	pool       *pool
	sender     *sqltables.Sender
	making     chan struct{} // held by who makes tables
}

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	p := &postgres{target: t, scrub: secret.NewScrubber(t.Password.Reveal()), schema: c.Schema, tables: sqltables.Of(deps.Brand), network: network.New(deps.Dial), making: make(chan struct{}, 1)}
	p.statements = statementsOf(p.tables, p.schema)
	config, err := t.Config(p.network.Dial)
	if err != nil {
		return nil, err
	}
	p.pool = newPool(config, c.MaxConnections)
	if p.sender, err = sqltables.NewSender(c.Settings, deps, p); err != nil {
		return nil, err
	}
	return p, nil
}

// Send makes one attempt.
func (p *postgres) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	r := p.SendBatch(ctx, []destination.Delivery{d})[0]
	return r.Receipt, r.Err
}

// MaxBatch is how many deliveries share a transaction.
func (p *postgres) MaxBatch() int { return sqltables.MaxBatch }

// SendBatch makes one attempt of each.
func (p *postgres) SendBatch(ctx context.Context, ds []destination.Delivery) []destination.Result {
	return p.sender.Send(ctx, ds)
}

// Write stores rows in one transaction. Where it is refused for what may be the
// tables' fault, they are looked at; what is missing of them is made, and it is
// tried again; so it is where a connection that was kept turns out to be dead. To
// write the same rows twice changes nothing.
func (p *postgres) Write(ctx context.Context, rows *sqltables.Rows) (r destination.Receipt, alone bool, err error) {
	const what = "write rows"
	address, err := p.try(ctx, rows)
	var at *place
	if doubtful(err) {
		var made bool
		var looked error
		at, made, looked = p.complete(ctx)
		switch {
		case incomplete(err) && looked != nil:
			err = looked
		case incomplete(err) && p.obstacle(at, nil) != nil:
			err = p.obstacle(at, nil)
		case made || incomplete(err):
			address, err = p.try(ctx, rows)
		case looked == nil && kept(err) && p.obstacle(at, rows) == nil:
			if stands, failed := p.stands(ctx, at, rows); failed != nil {
				err = p.looked(nil, failed)
			} else if stands {
				err = nil
			}
		}
	}
	r.Address = address
	if err != nil { // which quotes the server and says what to do: no answer beside it
		err, alone = p.refusal(what, err, at, rows)
	}
	return r, alone, err
}

// incomplete tells whether an error may be for want of a table, a column, an
// index or a right: complete finds out which.
func incomplete(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || connecting(err) {
		return false
	}
	switch pe.Code {
	case "42P01", "42703", "42P10", "42501", "3F000":
		return true
	}
	return false
}

// kept tells whether the server has taken rows without a word and kept them out.
func kept(err error) bool {
	_, ok := errors.AsType[*unwritten](err)
	return ok
}

// doubtful tells whether the tables may be at fault for an error.
func doubtful(err error) bool {
	if kept(err) {
		return true
	}
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || connecting(err) || pe.Severity == "FATAL" {
		return false
	}
	return incomplete(err) || pe.Code == "25006" || pe.Code == "23503" || pgclient.MeaningOf(pe.Code).Class != destination.Transient
}

// try writes rows once.
func (p *postgres) try(ctx context.Context, rows *sqltables.Rows) (address string, err error) {
	err = p.session(ctx, func(c *conn) error {
		address = c.Conn().RemoteAddr().String()
		return p.statements.store(ctx, c.PgConn, rows)
	})
	return address, err
}

// session calls f with a connection, and once more with a fresh one if the first
// was one kept from before that has died or whose server is no longer the primary.
func (p *postgres) session(ctx context.Context, f func(*conn) error) (err error) {
	for fresh := false; ; fresh = true {
		stale := false
		err = p.pool.use(ctx, fresh, func(c *conn) (keep bool, err error) {
			err = f(c)
			dead := err != nil && gone(err)
			stale = dead && c.reused && !fresh && ctx.Err() == nil
			return !dead, err
		})
		if !stale {
			return err
		}
	}
}

// gone tells whether a connection is of no more use after an error: it broke, or
// its server is ending or no longer takes writes.
func gone(err error) bool {
	if kept(err) {
		return false
	}
	if _, ok := errors.AsType[*destination.Fault](err); ok {
		return false
	}
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || pe.Severity == "FATAL" || pe.Code == "25006" || pe.Code == "23503" || strings.HasPrefix(pe.Code, "57P")
}

// Explain shows the rows that Send would write.
func (p *postgres) Explain(d destination.Delivery) (destination.Explanation, error) {
	x, err := sqltables.Explain(d.Event, p.sender.Catalogue, p.tables)
	x.Target = p.String()
	return x, err
}

// String says where the rows go. Together with GoString it keeps credentials
// out of every print of a destination.
func (p *postgres) String() string {
	hosts := make([]string, len(p.target.Hosts))
	for i, h := range p.target.Hosts {
		hosts[i] = h.String()
	}
	s := fmt.Sprintf("PostgreSQL database %s at %s", p.target.Database, strings.Join(hosts, ", "))
	if p.schema != "" {
		s += ", schema " + p.schema
	}
	return s
}
func (p *postgres) GoString() string { return p.String() }

// Close ends the connections.
func (p *postgres) Close() error {
	p.pool.close()
	p.network.Close()
	return p.sender.Close()
}
