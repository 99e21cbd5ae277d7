package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// verdict finds out whose fault the refusal of rows is: it looks at the tables, by
// what check uses, too. What refuses what we fill is the table's fault.
func (m *mysql) verdict(ctx context.Context, e *driver.MySQLError) (fault error, alone bool) {
	x := meaningOf(e)
	text := m.said(e)
	if denied(e.Number) {
		if m.named(e.Message) == "" { // a trigger runs as somebody else
			return m.faultOf(meaning{class: destination.Misconfigured, advice: trigger + " runs as a user who lacks a right: grant it, or make the trigger anew"}, text, e), false
		}
		return m.grant(ctx, e), false
	}
	if x.about != aboutNothing {
		if c, err := m.read(ctx); err == nil {
			x, text = m.judge(c, e, x, text)
		}
	}
	return m.faultOf(x, text, e), x.alone
}

func (m *mysql) faultOf(x meaning, text string, err error) error {
	return sqltables.Fault(x.class, "write rows", text, x.advice, err)
}

// judge completes x by what the tables are like.
func (m *mysql) judge(c *catalogue, e *driver.MySQLError, x meaning, text string) (meaning, string) {
	held := func(advice string) (meaning, string) {
		x.class, x.advice = destination.Misconfigured, m.shown(advice)
		return x, text
	}
	rejected := func(advice string) (meaning, string) {
		x.class, x.advice = destination.Rejected, m.shown(advice)
		return x, text
	}
	switch x.about {
	case aboutColumn:
		named := func(f sqltables.Misfit) bool { return quotes(e.Message, f.Existing.Name) }
		if !m.column(e.Message) { // some messages name none
			named = func(f sqltables.Misfit) bool { return sure(f) || quotes(e.Message, f.Existing.Name) }
		}
		if advice := m.misfits(c, named); advice != "" {
			return held(advice)
		}
		if table, wide := m.narrow(c, e); wide != nil {
			return rejected(fmt.Sprintf("%s of %s is %s: run: ALTER TABLE %s MODIFY %s TEXT CHARACTER SET utf8mb4%s",
				wide.Name, table, wide.Type, quoted(table), wide.Name, map[bool]string{true: " NOT NULL"}[wide.NotNull]))
		}
	case aboutCheck:
		for _, t := range m.tables.All() {
			for _, name := range c.get(t.Name).checks {
				if !quotes(e.Message, name) {
					continue
				}
				if column := c.get(t.Name).column(name); column != nil { // of a column, as MariaDB has it
					i := slices.IndexFunc(t.Columns, func(c sqltables.Column) bool { return c.Name == name })
					if i >= 0 {
						return held(fmt.Sprintf("a constraint of yours refuses what we write: run: %s", m.script(c, []sqltables.Misfit{{Table: t.Name, Column: t.Columns[i], Existing: column.Existing}})))
					}
				}
				return held(fmt.Sprintf("a constraint of yours refuses what we write: run: ALTER TABLE %s DROP CONSTRAINT %s", quoted(t.Name), quoted(name)))
			}
		}
	case aboutKey:
		for _, t := range m.tables.All() {
			names, texts := c.get(t.Name).foreign(t)
			for i, name := range names {
				if quotes(e.Message, name) {
					return rejected(fmt.Sprintf("the unique key %s of yours is in the way: run: %s", texts[i], dropKeys(t.Name, []string{name})))
				}
			}
		}
	case aboutRow:
		for _, t := range m.tables.All() {
			if m.named(e.Message) != t.Name {
				continue
			}
			text = fmt.Sprintf("another row of %s is in the way, and is left as it is", t.Name)
			if names, texts := c.get(t.Name).foreign(t); len(names) > 0 {
				return rejected(fmt.Sprintf("unique keys of yours: %s: run: %s", strings.Join(texts, ", "), dropKeys(t.Name, names)))
			}
			return rejected(m.misfits(c, func(f sqltables.Misfit) bool { return f.Table == t.Name && f.Column.Name == t.Key().Name }))
		}
	case aboutPartition:
		for _, t := range m.tables.All() {
			if c.get(t.Name).parted != "" {
				return held("no partition takes what we write: add one for all others, or run: ALTER TABLE " + quoted(t.Name) + " REMOVE PARTITIONING")
			}
		}
	case aboutReference:
		for _, t := range m.tables.All() {
			for _, r := range c.get(t.Name).references {
				if strings.Contains(e.Message, quoted(r.name)) {
					x.advice = m.shown(fmt.Sprintf("%s.%s references %s, where it is not: add it there, or run: ALTER TABLE %s DROP FOREIGN KEY %s", t.Name, r.column, r.to, quoted(t.Name), quoted(r.name)))
					return x, text
				}
			}
		}
	case aboutNoKey:
		var all []string
		for _, t := range m.tables.All() {
			if f := c.tables[t.Name]; f != nil && !slices.ContainsFunc(f.unique, func(k uniqueKey) bool { return k.name == "PRIMARY" }) {
				all = append(all, "ALTER TABLE "+quoted(t.Name)+" ADD COLUMN fantail_row BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY")
			}
		}
		if len(all) > 0 {
			return held("the server wants a primary key for every table: run: " + strings.Join(all, "; "))
		}
	case aboutName:
		if m.named(e.Message) == "" && !m.column(e.Message) { // ours are being made, or changed
			return held(trigger + " asks for what does not exist: make it, or drop the trigger")
		}
	}
	return x, text
}

// narrow finds the column of ours that has refused a text for its length, where a
// wider one would take it.
func (m *mysql) narrow(c *catalogue, e *driver.MySQLError) (table string, _ *column) {
	if e.Number != 1406 {
		return "", nil
	}
	for _, t := range m.tables.All() {
		for _, column := range t.Columns[1:] {
			if x := c.get(t.Name).column(column.Name); x != nil && column.Type == sqltables.Text && x.Length < 1<<16-1 && quotes(e.Message, x.Name) {
				return t.Name, x
			}
		}
	}
	return "", nil
}

// named is the table of ours that a message names, "" if none.
func (m *mysql) named(message string) string {
	for _, t := range m.tables.All() {
		if quotes(message, t.Name) {
			return t.Name
		}
	}
	return ""
}

// column tells whether a message names a column of ours.
func (m *mysql) column(message string) bool {
	return slices.ContainsFunc(m.tables.All(), func(t sqltables.Table) bool {
		return slices.ContainsFunc(t.Names(), func(name string) bool { return quotes(message, name) })
	})
}

// quotes tells whether a message quotes a name, as servers do in every language:
// 'name', 'of.name', `of.name` or `of`.`name`.
func quotes(message, name string) bool {
	return slices.ContainsFunc([]string{"'" + name + "'", "." + name + "'", "." + name + "`", quoted(name)}, func(form string) bool { return strings.Contains(message, form) })
}
