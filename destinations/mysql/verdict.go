package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// verdict finds out whose fault the refusal of rows is: it looks at the tables, by
// what check uses, too. What refuses what we fill is the table's fault.
func (m *mysql) verdict(ctx context.Context, e *driver.MySQLError, rows *sqltables.Rows) (fault error, alone bool) {
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
			x, text = m.judge(c, e, rows, x, text)
		}
	}
	return m.faultOf(x, text, e), x.alone
}

func (m *mysql) faultOf(x meaning, text string, err error) error {
	return farside.Fault(x.class, "write rows", text, x.advice, err)
}

// judge completes x by what the tables are like. Rows are those that were to be
// written, nil if none were. What neither they nor our tables explain comes from
// what belongs to the tables: a trigger that fails with what it writes elsewhere,
// or a column that is made of ours.
func (m *mysql) judge(c *catalogue, e *driver.MySQLError, rows *sqltables.Rows, x meaning, text string) (meaning, string) {
	held := func(advice string) (meaning, string) {
		x.class, x.advice = destination.Misconfigured, m.shown(advice)
		return x, text
	}
	rejected := func(advice string) (meaning, string) {
		x.class, x.advice = destination.Rejected, m.shown(advice)
		return x, text
	}
	// A message that comes here and names something names nothing of ours: what it names
	// belongs to a trigger or an expression.
	elsewhere := func() (meaning, string) {
		if !strings.ContainsAny(e.Message, "'`") {
			return x, text
		}
		return held(trigger + ", or an expression, fails with what it is given: mend or drop it")
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
		if m.tooLong(c, e, rows) {
			if table, wide := m.narrow(c, e); wide != nil {
				return rejected(fmt.Sprintf("%s of %s is %s: run: ALTER TABLE %s MODIFY %s TEXT CHARACTER SET utf8mb4%s",
					wide.Name, table, wide.Type, quoted(table), wide.Name, map[bool]string{true: " NOT NULL"}[wide.NotNull]))
			}
			return x, text
		}
		if advice, theirs := m.theirs(c, e.Message); theirs {
			if advice == "" { // made of what an event says
				return x, text
			}
			return held(advice)
		}
		return elsewhere()
	case aboutCheck:
		for _, t := range m.tables.All() {
			if of := m.named(e.Message); of != "" && of != t.Name { // names of others may be the same
				continue
			}
			for _, k := range c.get(t.Name).checks {
				if !quotes(e.Message, k.name) {
					continue
				}
				run := m.without(c, t, k)
				if readsEvents(t, k) {
					return rejected("a constraint of yours refuses what the event says: if that is not meant, run: " + run)
				}
				return held("a constraint of yours refuses what we write: run: " + run)
			}
		}
		return elsewhere()
	case aboutKey:
		ours := false
		for _, t := range m.tables.All() {
			names, texts := c.get(t.Name).foreign(t)
			for i, name := range names {
				if quotes(e.Message, name) {
					return rejected(fmt.Sprintf("the unique key %s of yours is in the way: run: %s", texts[i], dropKeys(t.Name, []string{name})))
				}
			}
			ours = ours || slices.ContainsFunc(c.get(t.Name).unique, func(k uniqueKey) bool { return k.name != "PRIMARY" && quotes(e.Message, k.name) })
		}
		if !ours { // through our own keys rows are updated
			return elsewhere()
		}
	case aboutRow:
		for _, t := range m.tables.All() {
			if m.named(e.Message) != t.Name || !byOwnRow(e.Message) {
				continue
			}
			text = fmt.Sprintf("another row of %s is in the way, and is left as it is", t.Name)
			if names, texts := c.get(t.Name).foreign(t); len(names) > 0 {
				return rejected(fmt.Sprintf("unique keys of yours: %s: run: %s", strings.Join(texts, ", "), dropKeys(t.Name, names)))
			}
			if advice := m.misfits(c, func(f sqltables.Misfit) bool { return f.Table == t.Name && f.Column.Name == t.Key().Name }); advice != "" {
				return rejected(advice)
			}
			return held("a column of yours in a unique key has the same value again: a trigger gives it, or its count is at its end")
		}
		return elsewhere()
	case aboutPartition:
		var all []string
		for _, t := range m.tables.All() {
			if by := strings.ToUpper(c.get(t.Name).parted); strings.HasPrefix(by, "RANGE") || strings.HasPrefix(by, "LIST") { // others take every row
				all = append(all, "ALTER TABLE "+quoted(t.Name)+" REMOVE PARTITIONING")
			}
		}
		if all != nil {
			return held("no partition takes what we write: add one for all others, or run: " + strings.Join(all, "; "))
		}
	case aboutReference:
		for _, t := range m.tables.All() {
			for _, r := range c.get(t.Name).references {
				if strings.Contains(e.Message, quoted(r.name)) {
					x.advice = m.shown(fmt.Sprintf("%s.%s references %s, where it is not: add it there, or run: %s", t.Name, strings.Join(r.columns, ", "), r.to, r.drop()))
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

// readsEvents tells whether a constraint judges what an event says, so that others may
// pass. That of MariaDB's type JSON is none: the column's type refuses every text.
func readsEvents(t sqltables.Table, k constraint) bool {
	reads := slices.DeleteFunc(t.Names(), func(name string) bool { return !strings.Contains(k.clause, quoted(name)) })
	return t.HoldsEvents(reads) && k.clause != "json_valid("+quoted(k.name)+")"
}

// without is the SQL that ends a constraint.
func (m *mysql) without(c *catalogue, t sqltables.Table, k constraint) string {
	column := c.get(t.Name).column(k.name)
	if column == nil || !c.server.maria { // that of a column goes with the column's definition
		return fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", quoted(t.Name), quoted(k.name))
	}
	if i := slices.Index(t.Names(), k.name); i >= 0 {
		return m.script(c, []sqltables.Misfit{{Table: t.Name, Column: t.Columns[i], Existing: column.Existing}})
	}
	run := "ALTER TABLE " + quoted(t.Name) + " MODIFY " + quoted(k.name) + " " + column.definition + map[bool]string{true: " NOT NULL"}[column.NotNull]
	if column.standard != "" {
		run += " DEFAULT " + column.standard
	}
	return run
}

// byOwnRow tells whether it is ownRow that has ended a statement, of which MySQL
// quotes VALUES(...) and MariaDB VALUE(...), and no expression of others.
func byOwnRow(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "values(") || strings.Contains(message, "value(")
}

// tooLong tells whether a text of rows is longer than the column that a message
// names, of TEXT in bytes.
func (m *mysql) tooLong(c *catalogue, e *driver.MySQLError, rows *sqltables.Rows) bool {
	if e.Number != 1406 || rows == nil {
		return false
	}
	long := func(t sqltables.Table, values []*string) bool {
		for i, v := range values {
			x := c.get(t.Name).column(t.Columns[i].Name)
			if v == nil || x == nil || x.Length == 0 || !quotes(e.Message, x.Name) {
				continue
			}
			if n := utf8.RuneCountInString(*v); n > x.Length || (strings.HasSuffix(x.Type, "text") || x.collation == "") && len(*v) > x.Length {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(rows.Users, func(u sqltables.User) bool { return long(m.tables.Users, u.Values()) }) ||
		slices.ContainsFunc(rows.Data, func(p sqltables.Payload) bool { return long(m.tables.Data, p.DataValues()) }) ||
		slices.ContainsFunc(rows.Other, func(p sqltables.Payload) bool { return long(m.tables.Other, p.OtherValues()) })
}

// theirs finds the columns of others that have refused a value, by the message or,
// where it names none, all that are made of others. Advice is "" if one of them is
// made of what an event says, of which times are much alike.
func (m *mysql) theirs(c *catalogue, message string) (advice string, _ bool) {
	var text, sql []string
	for _, t := range m.tables.All() {
		if of := m.named(message); of != "" && of != t.Name {
			continue
		}
		for _, x := range c.get(t.Name).columns {
			if slices.Contains(t.Names(), x.Name) || !x.auto && !x.Generated || m.quotesAny(c, message) && !quotes(message, x.Name) {
				continue
			}
			if x.auto {
				text = append(text, fmt.Sprintf("the count %s of %s is at its end", x.Name, t.Name))
				sql = append(sql, fmt.Sprintf("ALTER TABLE %s MODIFY %s BIGINT UNSIGNED NOT NULL AUTO_INCREMENT", quoted(t.Name), quoted(x.Name)))
				continue
			}
			for _, column := range t.Columns {
				if strings.Contains(x.made, quoted(column.Name)) && !sqltables.Ours(column.Name) && column.Name != "start_time" && column.Name != "end_time" {
					return "", true
				}
			}
			text = append(text, fmt.Sprintf("%s of %s is made of what we write, and cannot hold it", x.Name, t.Name))
			sql = append(sql, fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", quoted(t.Name), quoted(x.Name)))
		}
	}
	if text == nil {
		return "", false
	}
	return strings.Join(text, ", ") + ": run: " + strings.Join(sql, "; "), true
}

// quotesAny tells whether a message names a column of the tables.
func (m *mysql) quotesAny(c *catalogue, message string) bool {
	return slices.ContainsFunc(m.tables.All(), func(t sqltables.Table) bool {
		return slices.ContainsFunc(c.get(t.Name).columns, func(x column) bool { return quotes(message, x.Name) })
	})
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
