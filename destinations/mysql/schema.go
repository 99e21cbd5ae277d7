package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// step is a statement that completes the tables, and the error that says that
// somebody else has just done the same.
type step struct {
	sql  string
	done uint16
}

const noneDone = 0

// look asks the catalogue and returns what is missing of the tables.
func (m *mysql) look(ctx context.Context) (steps []step, err error) {
	columns, err := m.pairs(ctx, `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN (?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	keys, err := m.pairs(ctx, `SELECT table_name, MAX(column_name) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name IN (?, ?, ?)
		GROUP BY table_name, index_name HAVING COUNT(*) = 1 AND MAX(non_unique) = 0`)
	if err != nil {
		return nil, err
	}
	for _, t := range m.tables.All() {
		there := columns[t.Name]
		if there == nil {
			steps = append(steps, step{createTable(t), noneDone})
			continue
		}
		for _, c := range t.Columns {
			if !slices.Contains(there, c.Name) {
				steps = append(steps, step{fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s NULL", quoted(t.Name), c.Name, typeOf(c.Type)), 1060})
			}
		}
		if key := t.Key().Name; !slices.Contains(keys[t.Name], key) {
			steps = append(steps, step{fmt.Sprintf("ALTER TABLE %s ADD UNIQUE KEY fantail_%s (%s)", quoted(t.Name), key, key), 1061})
		}
	}
	return steps, nil
}

// pairs runs a query about the tables and returns the second column by the first.
func (m *mysql) pairs(ctx context.Context, query string) (map[string][]string, error) {
	var names []any
	for _, t := range m.tables.All() {
		names = append(names, t.Name)
	}
	rows, err := m.db().QueryContext(ctx, query, names...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string][]string{}
	for rows.Next() {
		var table, value string
		if err := rows.Scan(&table, &value); err != nil {
			return nil, err
		}
		all[table] = append(all[table], strings.ToLower(value))
	}
	return all, rows.Err()
}

func createTable(t sqltables.Table) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = c.Name + " " + typeOf(c.Type) + " NOT NULL"
		switch {
		case i == 0:
			columns[i] += " PRIMARY KEY"
		case c.Null:
			columns[i] = strings.TrimSuffix(columns[i], " NOT NULL")
		}
	}
	return "CREATE TABLE IF NOT EXISTS " + quoted(t.Name) + " (" + strings.Join(columns, ", ") + ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
}

func typeOf(t sqltables.Type) string {
	const exact = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
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
func (m *mysql) makeTables(ctx context.Context) error {
	select {
	case m.making <- struct{}{}:
		defer func() { <-m.making }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if m.complete.Load() {
		return nil
	}
	steps, err := m.look(ctx)
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
		case answered && unfit(me.Number):
			return misconfigured("complete the tables: %s: remove what is in the way of: %s", m.said(me), s.sql)
		default:
			return err
		}
	}
	m.complete.Store(true)
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

// Check looks at connection, certificates, tables and rights, and at the bucket
// and the links.
// Rights are asked for by EXPLAIN, which needs those of the statement and does
// not run it.
func (m *mysql) Check(ctx context.Context) error {
	if err := m.check(ctx); err != nil {
		fault, _ := m.fault("check the database", err)
		return fault
	}
	return m.sender.Check(ctx, m.target.tls)
}

func (m *mysql) check(ctx context.Context) error {
	steps, err := m.look(ctx)
	if err != nil {
		return err
	}
	if len(steps) > 0 {
		return m.mayMake(ctx, steps)
	}
	for i, s := range []statement{m.statements.users, m.statements.data, m.statements.other} {
		args := make([]any, len(m.tables.All()[i].Columns))
		for i := range args {
			args[i] = ""
		}
		rows, err := m.db().QueryContext(ctx, "EXPLAIN "+s.head+s.row+s.tail, args...)
		if me, ok := errors.AsType[*driver.MySQLError](err); ok && denied(me.Number) {
			return m.grant(ctx, me)
		}
		if err != nil {
			return err
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	var readOnly bool
	if err := m.db().QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&readOnly); err == nil && readOnly {
		return errors.New("the server takes no writes: it may be a replica")
	}
	return nil
}

// mayMake looks for the rights to make and write tables, where the catalogue
// shows them: those that come by a role it does not.
func (m *mysql) mayMake(ctx context.Context, steps []step) error {
	var n, needed int
	err := m.db().QueryRowContext(ctx, `SELECT COUNT(DISTINCT privilege_type), COUNT(DISTINCT IF(privilege_type IN ('CREATE', 'SELECT', 'INSERT', 'UPDATE'), privilege_type, NULL))
		FROM (SELECT privilege_type FROM information_schema.user_privileges
			UNION ALL SELECT privilege_type FROM information_schema.schema_privileges WHERE DATABASE() LIKE table_schema) AS mine`).Scan(&n, &needed)
	onlyRoles := n <= 1 // USAGE
	if err != nil || needed == 4 || onlyRoles {
		return err
	}
	return m.missing(ctx, steps)
}
