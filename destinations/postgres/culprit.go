package postgres

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// obstacle is the error of what is surely in the way of deliveries to the tables
// of rows, or to all of them; nil: nothing is.
func (p *postgres) obstacle(at *place, rows *sqltables.Rows) error {
	if text := p.inTheWay(at, rows); text != "" {
		return misconfigured("%s", p.shown(text))
	}
	return nil
}

// inTheWay words that. What we would make of tables that exist is part of the
// script: the rest of it may need that first.
func (p *postgres) inTheWay(at *place, rows *sqltables.Rows) string {
	ddl, all := p.judge(at)
	all = slices.DeleteFunc(sure(all), func(f finding) bool { return rows != nil && f.table != "" && !p.writes(rows, f.table) })
	if len(all) == 0 {
		return ""
	}
	all = at.unbound(all)
	ddl = slices.DeleteFunc(ddl, func(sql string) bool { return strings.HasPrefix(sql, "CREATE TABLE") })
	return worded(append([]finding{{sql: ddl}}, all...))
}

// writes tells whether rows has some of a table.
func (p *postgres) writes(rows *sqltables.Rows, table string) bool {
	switch table {
	case p.tables.Users.Name:
		return len(rows.Users) > 0
	case p.tables.Data.Name:
		return len(rows.Data) > 0
	}
	return len(rows.Other) > 0
}

// functions tells whether a table has triggers at all.
func (at *place) functions() bool {
	return slices.ContainsFunc(at.Tables, func(t presence) bool { return t.Functions })
}

// policy is the SQL that lets the user through the row-level security of all
// tables. No policy of ours gives what one restricts: only who bypasses it may.
func (at *place) policy() string {
	var sql, restrictive []string
	for _, t := range at.Tables {
		if t.Secured {
			sql = append(sql, t.policy(at.User))
			restrictive = append(restrictive, t.Restrictive...)
		}
	}
	switch {
	case sql == nil:
		return ""
	case restrictive != nil:
		return "row-level security: let the restrictive policies admit the user (" + strings.Join(restrictive, ", ") + "), or run as a superuser: ALTER ROLE " + quoted(at.User) + " BYPASSRLS"
	}
	return "row-level security: run as the owner of the table: " + strings.Join(sql, "; ")
}

// policy is the SQL of one that lets the user through.
func (t presence) policy(user string) string {
	return fmt.Sprintf("CREATE POLICY %s ON %s TO %s USING (true) WITH CHECK (true)", free("fantail", t.Named), t.Relation, quoted(user))
}

// culprit says what of the tables has refused what is ours, and the SQL that ends
// it; "": it is the event's.
func (p *postgres) culprit(at *place, pe *pgconn.PgError, rows *sqltables.Rows) string {
	if pe.Code == "22001" && rows != nil {
		if text := at.tooShort(rows); text != "" || at.tooLong(rows) {
			return text
		}
	}
	for _, t := range at.Tables {
		i, indexed := t.index(pe.ConstraintName)
		switch {
		case pe.Code == "42P10" && t.Filtered != nil:
			return "of " + t.Name + " some rows or columns are published: run as the owner of the tables: ALTER TABLE " + t.Relation + " REPLICA IDENTITY FULL"
		case pe.ConstraintName == "" && pe.Code == "23514" && t.Kind == "p" && (t.Name != pe.TableName || t.Strategy == "h" && t.Partitions != nil):
			return "no partition of " + pe.TableName + " takes the row: add the one that is missing"
		case pe.ConstraintName == "" && pe.Code == "23514" && t.Kind == "p":
			return fmt.Sprintf("no partition of %s takes the row: run as the owner of the tables: %s", t.Name, newPartition(t))
		case indexed && (oursAlone(i.Columns) || pe.Code == "54000" && slices.Contains(i.Columns, "payload_url")):
			return "it refuses what we fill: run as the owner of the tables: " + i.drop(t.Relation)
		case pe.Code == "54000" && pe.ConstraintName == "" && longLinks(rows): // too long for any index: the server names none
			for _, i := range t.Indexes {
				if slices.Contains(i.Columns, "payload_url") {
					return "it refuses what we fill: run as the owner of the tables: " + i.drop(t.Relation)
				}
			}
		}
		for _, c := range t.Checks {
			if c.Name == pe.ConstraintName && !t.HoldsEvents(c.Columns) {
				return "it refuses what we write: run as the owner of the tables: " + t.dropConstraint(c.Name)
			}
		}
		if sql := t.domain(pe); sql != "" {
			return "a domain refuses what we fill: run as the owner of the tables: " + sql
		}
	}
	if strings.HasPrefix(pe.Code, "22") && pe.Code != "22P05" && pe.Code != "2200H" && rows != nil {
		return p.expressions(at, rows)
	}
	return ""
}

// expressions says which expressions of the customer's fail with whatever is
// written; "": there are none, or some are made of what an event says, and nobody
// can tell which of them has failed.
func (p *postgres) expressions(at *place, rows *sqltables.Rows) string {
	var all []string
	for _, t := range at.Tables {
		for _, e := range t.Expressions {
			if !p.writes(rows, t.Name) {
				continue
			}
			if len(e.Columns) > 0 && !oursAlone(e.Columns) {
				return ""
			}
			all = append(all, e.Name+" of "+t.Name)
		}
	}
	if all == nil {
		return ""
	}
	return "an expression of yours fails, whatever an event says: mend or drop it (" + strings.Join(all, ", ") + ")"
}

// longLinks tells whether rows have links that no index takes.
func longLinks(rows *sqltables.Rows) bool {
	return rows != nil && slices.ContainsFunc(slices.Concat(rows.Data, rows.Other), func(r sqltables.Payload) bool { return len(r.URL) > maxIndexed })
}

// maxIndexed is how many bytes a B-tree takes for a row, a third of a page.
const maxIndexed = 2704

// ownRule says which constraint of the customer's an event has met.
func (at *place) ownRule(pe *pgconn.PgError) string {
	if pe.Code == "23503" {
		return at.foreignKey(pe.ConstraintName)
	}
	for _, t := range at.Tables {
		if i, ok := t.index(pe.ConstraintName); ok && (i.Unique || i.Exclusion) {
			return fmt.Sprintf("the unique key %s of yours takes it for a row of another event: if it is not meant, run as the owner of the tables: %s", i.Bare, i.drop(t.Relation))
		}
	}
	return ""
}

// domain is the SQL that frees columns of ours from a domain that has refused a
// value, where all that have it are ours.
func (t presence) domain(pe *pgconn.PgError) string {
	var sql []string
	for _, c := range t.Columns {
		if pe.DataTypeName == "" || c.Domain != pe.DataTypeName {
			continue
		}
		if !sqltables.Ours(c.Name) {
			return ""
		}
		sql = append(sql, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE TEXT", t.Relation, quoted(c.Name)))
	}
	return strings.Join(sql, "; ")
}

// tooShort looks for columns that are shorter than what rows have for them, and
// than they have to be. The server names none.
func (at *place) tooShort(rows *sqltables.Rows) string {
	var all []finding
	for n, values := range valuesOf(rows) {
		t := at.Tables[n]
		for _, m := range t.held() {
			i := slices.Index(t.Names(), m.Column.Name)
			if m.Remedy == sqltables.Retype && i >= 0 && slices.ContainsFunc(values, func(row []*string) bool {
				return row[i] != nil && utf8.RuneCountInString(*row[i]) > m.Existing.Length
			}) {
				all = append(all, finding{text: "in " + t.Name + " " + m.Text, sql: t.alter(m)})
			}
		}
	}
	return worded(all)
}

// tooLong tells whether a value of rows is longer than its column.
func (at *place) tooLong(rows *sqltables.Rows) bool {
	for n, values := range valuesOf(rows) {
		for i, name := range at.Tables[n].Names() {
			c, _ := at.Tables[n].column(name)
			if c.Length > 0 && slices.ContainsFunc(values, func(row []*string) bool { return row[i] != nil && utf8.RuneCountInString(*row[i]) > c.Length }) {
				return true
			}
		}
	}
	return false
}

// valuesOf are the values of rows, by the tables in the order of Tables.All.
func valuesOf(rows *sqltables.Rows) (all [3][][]*string) {
	for _, r := range rows.Users {
		all[0] = append(all[0], r.Values())
	}
	for _, r := range rows.Data {
		all[1] = append(all[1], r.DataValues())
	}
	for _, r := range rows.Other {
		all[2] = append(all[2], r.OtherValues())
	}
	return all
}

// swallowed says who may have kept rows out.
func (p *postgres) swallowed(u *unwritten, at *place, rows *sqltables.Rows) string {
	if at == nil {
		return "a trigger of yours keeps them out: let it RETURN NEW, or drop it"
	}
	if text := p.inTheWay(at, rows); text != "" {
		return text
	}
	t := at.Tables[u.table]
	if t.Triggers == nil {
		return "something of " + t.Name + " keeps them out, such as a trigger of a partition"
	}
	return untrigger("a trigger of "+t.Name+" keeps them out: let it RETURN NEW", t)
}

// untrigger says what to do about the triggers of all tables.
func (at *place) untrigger(text string) string { return untrigger(text, at.Tables...) }

// untrigger ends text with the SQL that drops the triggers of tables.
func untrigger(text string, tables ...presence) string {
	var sql []string
	for _, t := range tables {
		for _, trigger := range t.Triggers {
			sql = append(sql, "DROP TRIGGER "+trigger+" ON "+t.Relation)
		}
	}
	if sql == nil {
		return text
	}
	return text + ", or run as the owner of the tables: " + strings.Join(sql, "; ")
}
