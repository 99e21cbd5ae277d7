package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// finding is what is in the way of deliveries, or may be.
type finding struct {
	table string // "": all
	sure  bool   // every delivery to the table is refused, or does harm
	text  string
	sql   []string // that ends it

	retyped string // the column whose type that changes; "": none
}

// worded joins what the findings say, and then the SQL that ends all of them.
func worded(all []finding) string {
	var text, sql []string
	for _, f := range all {
		if f.text != "" && !slices.Contains(text, f.text) {
			text = append(text, f.text)
		}
		for _, s := range f.sql {
			if !slices.Contains(sql, s) {
				sql = append(sql, s)
			}
		}
	}
	said := strings.Join(text, ", ")
	if sql != nil {
		said += ": run as the owner of the tables: " + strings.Join(sql, "; ")
	}
	return said
}

// sure returns the findings that are.
func sure(all []finding) (some []finding) {
	for _, f := range all {
		if f.sure {
			some = append(some, f)
		}
	}
	return some
}

// judge returns the SQL that completes the tables and that we may run, and what is
// in the way of deliveries.
func (p *postgres) judge(at *place) (ddl []string, all []finding) {
	user := quoted(at.User)
	switch {
	case at.Schema == "" && p.schema == "":
		return nil, []finding{{sure: true, text: "the user's search_path leads to no schema: set schema"}}
	case at.Schema == "":
		return nil, []finding{{sure: true, text: "the schema does not exist", sql: []string{"CREATE SCHEMA " + quoted(p.schema) + " AUTHORIZATION " + user}}}
	}
	if at.ReadOnly && !at.Standby {
		all = append(all, finding{sure: true, text: "the user's transactions are read-only (default_transaction_read_only)",
			sql: []string{"ALTER ROLE " + user + " IN DATABASE " + quoted(at.Database) + " SET default_transaction_read_only = off"}})
	}
	if at.Barred != "" {
		all = append(all, lacks(at, "", "GRANT USAGE ON SCHEMA "+quoted(at.Barred)+" TO "+user))
	}
	if at.Encoding != "UTF8" && at.Encoding != "SQL_ASCII" {
		all = append(all, finding{text: "the database has the encoding " + at.Encoding + ": events with characters that it lacks are rejected"})
	}
	for _, t := range at.Tables {
		sql, some := p.judgeTable(at, t)
		ddl, all = append(ddl, sql...), append(all, some...)
	}
	return ddl, all
}

// lacks is the want of a right.
func lacks(at *place, table, grant string) finding {
	return finding{table: table, sure: true, text: "the user " + at.User + " lacks rights or tables", sql: []string{grant}}
}

func (p *postgres) judgeTable(at *place, t presence) (ddl []string, all []finding) {
	create := "GRANT CREATE ON SCHEMA " + quoted(at.Schema) + " TO " + quoted(at.User)
	found := func(sure bool, text string, sql ...string) {
		all = append(all, finding{table: t.Name, sure: sure, text: text, sql: sql})
	}
	ours := func(right bool, sql string) {
		if right {
			ddl = append(ddl, sql)
		} else {
			all = append(all, lacks(at, t.Name, sql))
		}
	}
	away := func(what string) {
		sql := []string{fmt.Sprintf("ALTER TABLE %s RENAME TO %s", t.Relation, quoted(t.Name+"_before"))}
		if !at.MayCreate {
			sql = append(sql, create)
		}
		found(true, t.Name+" "+what+": it is renamed, so that a table of ours takes its place", sql...)
	}
	if t.Relation == "" {
		if at.MayCreate {
			ddl = append(ddl, createTable(qualified(p.schema, t.Name), t.Table))
		} else {
			all = append(all, lacks(at, t.Name, create))
		}
		return ddl, all
	}
	if t.Kind != "r" && t.Kind != "p" {
		away("is no ordinary table but " + kindOf(t.Kind))
		return ddl, all
	}
	key := t.Key().Name
	if slices.ContainsFunc(t.Partition, func(column string) bool { return column != key }) {
		away(fmt.Sprintf("is partitioned, not by %s alone, and a key of partitioned tables must contain what parts them", key))
		return ddl, all
	}
	if t.Kind == "p" && t.Partitions == nil {
		found(true, t.Name+" has no partition", newPartition(t))
	}
	var add []string
	for _, c := range t.Table.Columns {
		if !t.has(c.Name) {
			add = append(add, "ADD COLUMN IF NOT EXISTS "+c.Name+" "+typeOf(c.Type))
		}
	}
	if add != nil {
		ours(t.MayAlter, "ALTER TABLE "+t.Relation+" "+strings.Join(add, ", "))
	}
	if deferrable := t.deferrable(); deferrable != nil {
		found(true, "the key of "+t.Name+" is deferrable, and ON CONFLICT knows no such key", deferrable...)
	} else if !t.keyed() {
		ours(t.MayAlter && at.MayCreate, fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s)", t.Relation, key))
	}
	if !t.MayWrite {
		ours(false, fmt.Sprintf("GRANT SELECT, INSERT, UPDATE ON TABLE %s TO %s", t.Relation, quoted(at.User)))
	}
	for _, sequence := range t.Barred {
		ours(false, fmt.Sprintf("GRANT USAGE ON SEQUENCE %s TO %s", sequence, quoted(at.User)))
	}
	return ddl, append(append(all, t.misfits()...), t.surprises(at)...)
}

// surprises are what else of a table decides over rows.
func (t presence) surprises(at *place) (all []finding) {
	found := func(sure bool, text string, sql ...string) {
		all = append(all, finding{table: t.Name, sure: sure, text: text, sql: sql})
	}
	for _, rule := range t.Rules {
		found(true, t.Name+" has the rule "+rule+", which changes what is written or keeps it out", "DROP RULE "+rule+" ON "+t.Relation)
	}
	if t.Secured && !strings.Contains(t.Policies, "*") && !(strings.Contains(t.Policies, "a") && strings.Contains(t.Policies, "r") && strings.Contains(t.Policies, "w")) {
		found(true, t.Name+" has row-level security without a policy that lets the user read, insert and update", t.policy(at.User))
	} else if t.Secured {
		found(false, "policies of "+t.Name+" decide which rows the user may write")
	}
	if t.Published != nil {
		found(true, fmt.Sprintf("%s is published (%s) and has no replica identity, so that it takes no updates", t.Name, strings.Join(t.Published, ", ")),
			"ALTER TABLE "+t.Relation+" REPLICA IDENTITY FULL")
	}
	for _, i := range t.Indexes {
		if foreign, text := t.foreign(i); foreign {
			found(i.isKey(t.Key().Name), text, i.drop(t.Relation))
		}
	}
	for _, r := range t.References {
		if r.Table == t.Relation {
			found(false, r.waits(t), r.drop())
		}
	}
	for _, c := range t.Checks {
		if slices.ContainsFunc(c.Columns, sqltables.Ours) {
			found(false, fmt.Sprintf("the constraint %s of %s decides over %s, which we fill", c.Name, t.Name, strings.Join(c.Columns, ", ")), t.dropConstraint(c.Name))
		}
	}
	for _, trigger := range t.Triggers {
		found(false, "the trigger "+trigger+" of "+t.Name+" may change rows or keep them out")
	}
	return all
}

// foreign tells whether an index of others refuses rows, and words it.
func (t presence) foreign(i index) (bool, string) {
	columns := strings.Join(i.Columns, ", ")
	key := t.Key().Name
	switch {
	case i.isKey(key) && i.Nondetermined && !t.nondetermined(key):
		return true, fmt.Sprintf("the unique key %s of %s takes different users for one", i.Bare, t.Name)
	case (i.Unique || i.Exclusion) && !slices.Contains(i.Columns, key) && !slices.ContainsFunc(i.Columns, t.filled):
		return true, fmt.Sprintf("the unique key %s of %s on (%s) rejects events that have the same there", i.Bare, t.Name, columns)
	case slices.Contains(i.Columns, "payload_url"):
		return true, fmt.Sprintf("the index %s of %s takes no links of over 2,704 bytes", i.Bare, t.Name)
	}
	return false, ""
}

// nondetermined tells whether a column takes different texts for one: then its
// indexes do so as long as it does.
func (t presence) nondetermined(name string) bool {
	c, _ := t.column(name)
	return c.Nondetermined != ""
}

// filled tells whether a column of others has values of its own, such as a count.
func (t presence) filled(name string) bool {
	c, ok := t.column(name)
	return ok && c.Default && !slices.Contains(t.Names(), name)
}

// oursAlone tells whether all columns hold what is ours and no event's.
func oursAlone(columns []string) bool {
	return len(columns) > 0 && !slices.ContainsFunc(columns, func(c string) bool { return !sqltables.Ours(c) })
}

// deferrable is the SQL that makes a key that is deferrable anew; nil: it is not.
func (t presence) deferrable() []string {
	key := t.Key().Name
	for _, i := range t.Indexes {
		if i.isKey(key) && i.Deferrable {
			kind := "UNIQUE"
			if i.Primary {
				kind = "PRIMARY KEY"
			}
			return []string{fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD %s (%s)", t.Relation, i.Constraint, kind, key)}
		}
	}
	return nil
}

func (i index) drop(relation string) string {
	if i.Constraint != "" {
		return "ALTER TABLE " + relation + " DROP CONSTRAINT " + i.Constraint
	}
	return "DROP INDEX " + i.Name
}

func (t presence) dropConstraint(name string) string {
	return "ALTER TABLE " + t.Relation + " DROP CONSTRAINT " + quoted(name)
}

// newPartition is the SQL of a partition that takes every row.
func newPartition(t presence) string {
	rows := "DEFAULT"
	if t.Strategy == "h" {
		rows = "FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
	}
	schema, _, _ := strings.Cut(t.Relation, ".")
	return fmt.Sprintf("CREATE TABLE %s.%s PARTITION OF %s %s", schema, quoted(free(t.Name+"_all", t.Partitions)), t.Relation, rows)
}

// free is name, or with a number what is not taken.
func free(name string, taken []string) string {
	for n, one := 2, name; ; n++ {
		if !slices.Contains(taken, one) {
			return one
		}
		one = fmt.Sprintf("%s%d", name, n)
	}
}

// kindOf names a relkind.
func kindOf(kind string) string {
	for k, name := range map[string]string{"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index", "I": "an index", "c": "a type"} {
		if k == kind {
			return name
		}
	}
	return "something else"
}
