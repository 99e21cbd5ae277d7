package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/pgclient"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func createTable(name string, t sqltables.Table) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = c.Name + " " + typeOf(c.Type)
		switch {
		case i == 0:
			columns[i] += " PRIMARY KEY"
		case !c.Null:
			columns[i] += " NOT NULL"
		}
	}
	return "CREATE TABLE IF NOT EXISTS " + name + " (" + strings.Join(columns, ", ") + ")"
}

func typeOf(t sqltables.Type) string {
	switch t {
	case sqltables.UserID:
		return "VARCHAR(36)"
	case sqltables.State:
		return "VARCHAR(20)"
	}
	return "TEXT"
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// complete looks at the tables and makes what is missing of them, outside of any
// delivery's transaction. Others who come for the same wait, and find that it is
// done. What is in the way is for the caller to find in what it returns; then
// nothing is made.
func (p *postgres) complete(ctx context.Context) (at *place, made bool, err error) {
	select {
	case p.making <- struct{}{}:
		defer func() { <-p.making }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	err = p.session(ctx, func(c *conn) (err error) {
		if at, err = p.look(ctx, c); err != nil {
			return err
		}
		ddl, found := p.judge(at)
		if len(ddl) == 0 || at.ReadOnly || sure(found) != nil {
			return nil
		}
		made = true
		return p.make(ctx, c, at.Schema, ddl)
	})
	return at, made, p.looked(at, err)
}

// looked is the error of a look at the tables. Where the look failed there is no place,
// and no event is to blame, whatever the code says.
func (p *postgres) looked(at *place, err error) error {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && at == nil && !connecting(err) {
		return farside.Fault(destination.Transient, "look at the tables", p.said(pe), "", err)
	}
	return err
}

// make runs ddl in one transaction. The lock keeps two daemons from making the
// same, and the timeout keeps readers from queueing up behind us behind somebody
// else.
func (p *postgres) make(ctx context.Context, c *conn, schema string, ddl []string) error {
	sql := append([]string{"SELECT set_config('lock_timeout', '10s', true)", "SELECT pg_advisory_xact_lock(hashtext('fantail'), hashtext(" + literal(schema) + "))"}, ddl...)
	return p.refused(c.Exec(ctx, strings.Join(sql, ";\n")).Close(), ddl)
}

// refused is what the failure of ddl means. Some codes would reject an event whose rows
// they are about; here no event is at fault: keys stand twice in a table of others, say.
// But for races the same error will come again.
func (p *postgres) refused(err error, ddl []string) error {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pgclient.MeaningOf(pe.Code).Class == destination.Transient {
		return err
	}
	const what = "complete the tables"
	if pe.SchemaName == "pg_catalog" { // somebody else was making the same
		return farside.Fault(destination.Transient, what, p.said(pe), "", err)
	}
	return misconfigured("%s: %s: remove what is in the way of: %s", what, p.said(pe), strings.Join(ddl, "; "))
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
