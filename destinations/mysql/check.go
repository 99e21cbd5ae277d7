package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Check looks at connection, certificates, tables and rights, and at the bucket
// and the links. It finds what would stop a delivery, and remarks upon what would
// stop some.
func (m *mysql) Check(ctx context.Context) error {
	m.reconnect()
	remarks, err := m.check(ctx)
	if err != nil {
		fault, _ := m.fault("check the database", err)
		return fault
	}
	err = m.sender.Check(ctx, m.target.tls)
	more, remarked := errors.AsType[destination.Remark](err)
	if err != nil && !remarked {
		return err
	}
	if remarked {
		remarks = append(remarks, string(more))
	}
	if len(remarks) > 0 {
		return destination.Remark(strings.Join(remarks, "; "))
	}
	return nil
}

func (m *mysql) check(ctx context.Context) (remarks []string, err error) {
	c, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.never(c); err != nil {
		return nil, err
	}
	steps, err := m.steps(c)
	if err != nil {
		return nil, err
	}
	if err := m.mayMake(ctx, steps); err != nil {
		return nil, err
	}
	if advice := m.misfits(c, sure); advice != "" {
		return nil, misconfigured("check the tables: %s", advice)
	}
	if len(steps) == 0 { // the server plans what there are tables for
		if err := m.plan(ctx); err != nil {
			return nil, err
		}
	}
	if c.server.readOnly {
		return nil, errors.New("the server takes no writes: it may be a replica")
	}
	return m.remarks(c), nil
}

// plan has the server plan the statements, which needs the rights to run them and
// does not do it.
func (m *mysql) plan(ctx context.Context) error {
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
	return nil
}

// never finds what the server would take a delivery with, and not keep it, or
// keep something else without a word.
func (m *mysql) never(c *catalogue) error {
	if !c.server.strict {
		return misconfigured("sessions do not run with the sql_mode that they ask for: texts would be cut: let what is between here and the server, such as a proxy, pass SET sql_mode")
	}
	for _, t := range m.tables.All() {
		if f := c.tables[t.Name]; f != nil && strings.EqualFold(f.engine, "BLACKHOLE") {
			return misconfigured("%s is of the engine BLACKHOLE, which keeps nothing: run: ALTER TABLE %s ENGINE=InnoDB", t.Name, quoted(t.Name))
		}
	}
	// A number takes '007' for 7, a year '1' for 2001.
	others := m.misfits(c, func(x sqltables.Misfit) bool {
		return x.Sure && x.Remedy == sqltables.Retype && x.Existing.Holds != sqltables.HoldsText
	})
	if others != "" {
		return misconfigured("look at the tables: %s", others)
	}
	return nil
}

// remarks are on what stops some deliveries, or may.
func (m *mysql) remarks(c *catalogue) (all []string) {
	say := func(format string, args ...any) { all = append(all, m.shown(fmt.Sprintf(format, args...))) }
	if advice := m.misfits(c, func(x sqltables.Misfit) bool { return !x.Sure }); advice != "" {
		all = append(all, "deliveries may fail: "+advice)
	}
	for _, t := range m.tables.All() {
		f := c.tables[t.Name]
		if f == nil {
			continue
		}
		if names, texts := f.foreign(t); len(names) > 0 {
			say("unique keys of yours refuse rows of %s that have what another row has: %s: run: %s", t.Name, strings.Join(texts, ", "), dropKeys(t.Name, names))
		}
		if f.engine != "" && !f.transactional {
			say("%s is of the engine %s, which knows no transactions: an event may be written in part until it is tried again: run: ALTER TABLE %s ENGINE=InnoDB", t.Name, f.engine, quoted(t.Name))
		}
		for _, r := range f.references {
			say("%s.%s references %s: events wait whose value is not there, and the user_id of those without a user is '': run, if that is not meant: %s", t.Name, strings.Join(r.columns, ", "), r.to, r.drop())
		}
		if len(f.checks) > 0 {
			names := make([]string, len(f.checks))
			for i, k := range f.checks {
				names[i] = k.name
			}
			say("constraints of yours may refuse rows of %s: %s", t.Name, strings.Join(names, ", "))
		}
		if len(f.triggers) > 0 {
			say("triggers of yours may refuse or change rows of %s: %s", t.Name, strings.Join(f.triggers, ", "))
		}
	}
	return all
}

// dropKeys is the SQL that ends unique keys that are not ours.
func dropKeys(table string, names []string) string {
	var drops []string
	for _, name := range names {
		if name == "PRIMARY" {
			drops = append(drops, "DROP PRIMARY KEY")
		} else {
			drops = append(drops, "DROP INDEX "+quoted(name))
		}
	}
	return "ALTER TABLE " + quoted(table) + " " + strings.Join(drops, ", ")
}

// mayMake looks for the rights that steps take, and those to write what is made,
// where the catalogue shows them: those that come by a role it does not.
func (m *mysql) mayMake(ctx context.Context, steps []step) error {
	if len(steps) == 0 {
		return nil
	}
	var role sql.NullString
	if err := m.db().QueryRowContext(ctx, "SELECT CURRENT_ROLE()").Scan(&role); err != nil {
		return err
	}
	if role.Valid && role.String != "" && role.String != "NONE" {
		return nil
	}
	rights := map[string][]string{} // by table; "": on all of them
	err := m.each(ctx, `SELECT table_name, privilege_type FROM (
		SELECT '' AS table_name, privilege_type FROM information_schema.user_privileges
		UNION ALL SELECT '', privilege_type FROM information_schema.schema_privileges WHERE DATABASE() LIKE table_schema
		UNION ALL SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE table_schema = DATABASE() AND table_name IN (?, ?, ?)) AS mine`,
		func(rows *sql.Rows) error {
			var table, right string
			err := rows.Scan(&table, &right)
			rights[table] = append(rights[table], right)
			return err
		})
	if err != nil {
		return err
	}
	for _, s := range steps {
		for _, right := range []string{s.right, "SELECT", "INSERT", "UPDATE"} {
			if !slices.Contains(rights[""], right) && !slices.Contains(rights[s.table], right) {
				return m.missing(ctx, steps)
			}
		}
	}
	return nil
}
