package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// step is a statement that completes a table, the right that it takes besides
// those to write, and the error that says that somebody else has just done the same.
type step struct {
	table string
	sql   string
	right string
	done  uint16
}

const noneDone = 0

// steps are what is missing of the tables.
func (m *mysql) steps(c *catalogue) (steps []step, err error) {
	exact := c.exact(m.tables)
	var before []string
	for _, t := range m.tables.All() {
		f := c.tables[t.Name]
		if f == nil {
			steps = append(steps, step{t.Name, createTable(t, exact), "CREATE", noneDone})
			continue
		}
		if f.view {
			return nil, misconfigured("%s is no table: rename it, so that the table can be made", t.Name)
		}
		for _, column := range t.Columns {
			if f.column(column.Name) == nil {
				steps = append(steps, step{t.Name, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s NULL", quoted(t.Name), column.Name, typeOf(column.Type, exact)), "ALTER", 1060})
			}
		}
		if key := t.Key().Name; !slices.ContainsFunc(f.unique, func(k uniqueKey) bool { return slices.Equal(k.parts, []string{key}) }) {
			s := step{t.Name, fmt.Sprintf("ALTER TABLE %s ADD UNIQUE KEY fantail_%s (%s)", quoted(t.Name), key, key), "ALTER", 1061}
			if first := f.keyless(t, c.server, exact); first != "" {
				before = append(before, first)
			}
			steps = append(steps, s)
		}
	}
	if before != nil {
		for _, s := range steps {
			before = append(before, s.sql)
		}
		return nil, misconfigured("complete the tables: they cannot have the unique keys that they lack as they are: run: %s", strings.Join(before, "; "))
	}
	return steps, nil
}

// keyless is what to run before a table can have our key, "" if it can. MariaDB
// makes keys of any length.
func (f *found) keyless(t sqltables.Table, s server, exact string) string {
	key := t.Key()
	if f.parted != "" && !strings.Contains(strings.ToLower(f.parted), key.Name) { // unique keys must have what parts the table
		return "ALTER TABLE " + quoted(t.Name) + " REMOVE PARTITIONING"
	}
	const most = 3072 / 4 // of utf8mb4
	if x := f.column(key.Name); x != nil && x.Holds == sqltables.HoldsText && !s.maria && x.Length > most {
		return fmt.Sprintf("ALTER TABLE %s MODIFY %s %s NOT NULL", quoted(t.Name), key.Name, typeOf(key.Type, exact))
	}
	return ""
}

// The binary collations that do not pad texts with spaces before they compare
// them, of MariaDB and of MySQL, and what tables had that we made before.
const (
	exactMaria = "utf8mb4_nopad_bin"
	exactMySQL = "utf8mb4_0900_bin"
	exactOnce  = "utf8mb4_bin"
)

// exact is the collation of what is compared byte for byte.
func (s server) exact() string {
	if s.maria {
		return exactMaria
	}
	return exactMySQL
}

// exact is the collation for new columns: that of the server, but beside tables
// that we made before theirs, since no query can join columns of the two.
func (c *catalogue) exact(tables sqltables.Tables) string {
	for _, t := range tables.All() {
		if f := c.tables[t.Name]; f != nil {
			if x := f.column("user_id"); x != nil && x.collation == exactOnce {
				return exactOnce
			}
		}
	}
	return c.server.exact()
}

// column is the column of a name, nil if there is none.
func (f *found) column(name string) *column {
	i := slices.IndexFunc(f.columns, func(x column) bool { return x.Name == name })
	if i < 0 {
		return nil
	}
	return &f.columns[i]
}

func createTable(t sqltables.Table, exact string) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = c.Name + " " + typeOf(c.Type, exact) + " NOT NULL"
		switch {
		case i == 0:
			columns[i] += " PRIMARY KEY"
		case c.Null:
			columns[i] = strings.TrimSuffix(columns[i], " NOT NULL")
		}
	}
	return "CREATE TABLE IF NOT EXISTS " + quoted(t.Name) + " (" + strings.Join(columns, ", ") + ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
}

func typeOf(t sqltables.Type, exact string) string {
	exact = " CHARACTER SET utf8mb4 COLLATE " + exact
	switch t {
	case sqltables.UserID:
		return "VARCHAR(36)" + exact
	case sqltables.PayloadID, sqltables.Mark:
		return "VARCHAR(80)" + exact
	case sqltables.State:
		return "VARCHAR(20)"
	}
	return "TEXT"
}

// makeTables completes the tables. MySQL commits every statement of this kind by
// itself, so that it runs outside of any delivery's transaction. Others who come
// for the same wait, and find that it is done.
func (m *mysql) makeTables(ctx context.Context) (err error) {
	select {
	case m.making <- struct{}{}:
		defer func() { <-m.making }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if m.known() {
		return nil
	}
	began := time.Now()
	defer func() { m.complete.Store(err == nil) }()
	c, err := m.read(ctx)
	if err != nil {
		return err
	}
	if err := m.never(c); err != nil {
		return err
	}
	steps, err := m.steps(c)
	if err != nil {
		return err
	}
	for i, s := range steps {
		_, err := m.db().ExecContext(ctx, s.sql)
		me, answered := errors.AsType[*driver.MySQLError](err)
		switch {
		case err == nil, answered && s.done != noneDone && me.Number == s.done:
		case answered && denied(me.Number):
			return m.missing(ctx, steps[i:])
		case answered && meaningOf(me).about == aboutNoKey:
			x, text := m.judge(c, me, nil, meaningOf(me), m.said(me))
			return m.faultOf(x, text, me)
		case answered && unfit(me):
			return misconfigured("complete the tables: %s: remove what is in the way of: %s", m.said(me), s.sql)
		default:
			return err
		}
	}
	m.trims.Store(m.misfits(c, func(x sqltables.Misfit) bool {
		return x.Table == m.tables.Users.Name && x.Existing.Name == "user_id" && c.get(x.Table).column("user_id").trims
	}))
	m.looked.Store(began.UnixNano())
	return nil
}

// missing says which SQL somebody with more rights has to run.
func (m *mysql) missing(ctx context.Context, steps []step) error {
	m.refused.Store(true)
	all := make([]string, 0, len(steps)+1)
	for _, s := range steps {
		all = append(all, s.sql)
	}
	all = append(all, m.grants("SELECT, INSERT, UPDATE", m.me(ctx)))
	return misconfigured("the user may not make what is missing of the tables: run: %s", strings.Join(all, "; "))
}

// grant says which rights are missing to write rows.
func (m *mysql) grant(ctx context.Context, e *driver.MySQLError) error {
	m.refused.Store(true)
	return misconfigured("write rows: %s: run: %s", m.said(e), m.grants("SELECT, INSERT, UPDATE", m.me(ctx)))
}

// me is the account that the server takes us for, as GRANT names it.
func (m *mysql) me(ctx context.Context) string {
	var account string
	if err := m.db().QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&account); err != nil {
		return quoted(m.target.user) + "@'%'"
	}
	i := strings.LastIndexByte(account, '@')
	return quoted(account[:max(i, 0)]) + "@" + quoted(account[i+1:])
}

func (m *mysql) grants(rights, account string) string {
	return fmt.Sprintf("GRANT %s ON %s.* TO %s", rights, quoted(m.target.database), account)
}

func misconfigured(format string, args ...any) error {
	return destination.Misconfigure(fmt.Errorf(format, args...))
}
