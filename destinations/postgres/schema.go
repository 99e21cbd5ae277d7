package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// place is what the catalogue says of where the tables are, or would be.
type place struct {
	user, schema string // "": there is no such schema
	mayCreate    bool
	readOnly     bool
	tables       []presence
}

// presence is what the catalogue says of one table.
type presence struct {
	sqltables.Table
	relation string // quoted, with its schema; "": there is none
	ordinary bool
	columns  []string
	keyed    bool // the key is unique
	mayWrite bool
	mayAlter bool
}

// lookAround asks the catalogue, which anybody may read, and changes nothing.
const lookAround = `
SELECT current_user, COALESCE(n.nspname, ''), COALESCE(has_schema_privilege(n.oid, 'CREATE'), false),
  current_setting('transaction_read_only') = 'on',
  COALESCE((SELECT format('%I.%I', o.nspname, c.relname) FROM pg_namespace o WHERE o.oid = c.relnamespace), ''), COALESCE(c.relkind IN ('r', 'p'), false),
  ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text[]::text,
  EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND a.attname = w.key),
  COALESCE(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE'), false),
  COALESCE(pg_has_role(c.relowner, 'USAGE'), false)
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS w(name, key, place)
LEFT JOIN pg_namespace n ON n.nspname = CASE WHEN $1 = '' THEN current_schema() ELSE $1 END
LEFT JOIN pg_class c ON c.relname = w.name AND CASE WHEN $1 = '' THEN pg_table_is_visible(c.oid) ELSE c.relnamespace = n.oid END
ORDER BY w.place`

// catalogueColumns is how many columns lookAround asks for.
const catalogueColumns = 10

// look returns what there is.
func (p *postgres) look(ctx context.Context, c *conn) (*place, error) {
	names, keys := []byte{'{'}, []byte{'{'}
	for i, t := range p.tables.All() {
		if i > 0 {
			names, keys = append(names, ','), append(keys, ',')
		}
		key := t.Key().Name
		names, keys = element(names, &t.Name), element(keys, &key)
	}
	r := c.ExecParams(ctx, lookAround, [][]byte{[]byte(p.schema), append(names, '}'), append(keys, '}')}, []uint32{textOID, 0, 0}, nil, nil).Read()
	if r.Err != nil {
		return nil, r.Err
	}
	all := p.tables.All()
	if len(r.Rows) != len(all) {
		return nil, fmt.Errorf("the catalogue has %d answers to %d questions", len(r.Rows), len(all))
	}
	at := &place{}
	for i, row := range r.Rows {
		if len(row) != catalogueColumns {
			return nil, fmt.Errorf("the catalogue answers with %d columns", len(row))
		}
		is := func(n int) bool { return string(row[n]) == "t" }
		at.user, at.schema, at.mayCreate, at.readOnly = string(row[0]), string(row[1]), is(2), is(3)
		at.tables = append(at.tables, presence{Table: all[i], relation: string(row[4]), ordinary: is(5),
			columns: strings.Split(strings.Trim(string(row[6]), "{}"), ","), keyed: is(7), mayWrite: is(8), mayAlter: is(9)})
	}
	return at, nil
}

// plan returns the SQL that completes the tables. Its error holds the
// destination and has the SQL that somebody with more rights has to run.
func (p *postgres) plan(at *place) (ddl []string, err error) {
	if at.schema == "" {
		if p.schema == "" {
			return nil, misconfigured("the user's search_path leads to no schema: set schema")
		}
		return nil, misconfigured("the schema does not exist: run: CREATE SCHEMA %s AUTHORIZATION %s", quoted(p.schema), quoted(at.user))
	}
	var ask []string // what we may not do ourselves
	may := func(right bool, sql string) {
		if right {
			ddl = append(ddl, sql)
		} else if !slices.Contains(ask, sql) {
			ask = append(ask, sql)
		}
	}
	for _, t := range at.tables {
		if t.relation == "" {
			if at.mayCreate {
				ddl = append(ddl, createTable(qualified(p.schema, t.Name), t.Table))
			} else {
				may(false, fmt.Sprintf("GRANT CREATE ON SCHEMA %s TO %s", quoted(at.schema), quoted(at.user)))
			}
			continue
		}
		if !t.ordinary {
			return nil, misconfigured("%s is no ordinary table: rename it, or set schema", t.relation)
		}
		var add []string
		for _, c := range t.Columns {
			if !slices.Contains(t.columns, c.Name) {
				add = append(add, "ADD COLUMN IF NOT EXISTS "+c.Name+" "+typeOf(c.Type))
			}
		}
		if add != nil {
			may(t.mayAlter, "ALTER TABLE "+t.relation+" "+strings.Join(add, ", "))
		}
		if !t.keyed {
			may(t.mayAlter, fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s)", t.relation, t.Key().Name))
		}
		if !t.mayWrite {
			may(false, fmt.Sprintf("GRANT SELECT, INSERT, UPDATE ON TABLE %s TO %s", t.relation, quoted(at.user)))
		}
	}
	if ask != nil {
		return nil, misconfigured("the user %s lacks rights or tables: run as their owner: %s", at.user, strings.Join(ask, "; "))
	}
	return ddl, nil
}

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

// complete makes what is missing of the tables, outside of any delivery's
// transaction. Others who come for the same wait, and find that it is done.
func (p *postgres) complete(ctx context.Context) error {
	select {
	case p.making <- struct{}{}:
		defer func() { <-p.making }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return p.pool.use(ctx, false, func(c *conn) (keep bool, err error) { return true, p.completeOver(ctx, c) })
}

func (p *postgres) completeOver(ctx context.Context, c *conn) error {
	at, err := p.look(ctx, c)
	if err != nil {
		return err
	}
	ddl, err := p.plan(at)
	if err != nil || len(ddl) == 0 {
		return err
	}
	// One transaction; the lock keeps two daemons from making the same, and the
	// timeout keeps readers from queueing up behind us behind somebody else.
	sql := append([]string{"SELECT set_config('lock_timeout', '10s', true)", "SELECT pg_advisory_xact_lock(hashtext('fantail'), hashtext(" + literal(at.schema) + "))"}, ddl...)
	return p.refused(c.Exec(ctx, strings.Join(sql, ";\n")).Close(), ddl)
}

// refused is what the failure of ddl means. What would reject an event if it came
// of its rows is none of its doing here: but for races it will come again, such
// as for keys that stand twice in a table of others.
func (p *postgres) refused(err error, ddl []string) error {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || meaningOf(pe.Code).class != destination.Rejected {
		return err
	}
	const what = "complete the tables"
	if pe.SchemaName == "pg_catalog" { // somebody else was making the same
		return sqltables.Fault(destination.Transient, what, p.said(pe), "", err)
	}
	return misconfigured("%s: %s: remove what is in the way of: %s", what, p.said(pe), strings.Join(ddl, "; "))
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// Check looks at connection, certificates, rights and tables, the latter by the
// catalogue alone, and at the bucket and the links.
func (p *postgres) Check(ctx context.Context) error {
	const what = "check the database"
	var at *place
	err := p.pool.use(ctx, false, func(c *conn) (keep bool, err error) {
		at, err = p.look(ctx, c)
		return err == nil, err
	})
	if err == nil {
		_, err = p.plan(at)
	}
	if err == nil && at.readOnly {
		err = errors.New("this server takes no writes: it is a replica, or its transactions are read-only")
	}
	if err != nil {
		fault, _ := p.fault(what, err)
		return fault
	}
	return p.sender.Check(ctx, p.target.TLS)
}
