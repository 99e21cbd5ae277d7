package supabase

import (
	"fmt"
	"strings"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// column is a column of a table.
type column struct {
	name, kind string
	key        bool
	null       bool // NULL is written to it
	unsaid     bool // some rows name no value for it
	least      int  // below so many characters some of what every developer gets does not fit
}

// needs are what columns have to hold besides texts and times of any kind.
var needs = map[string]column{
	"user_id": {least: 36}, "reference_id": {null: true, least: 36}, "granted_scopes": {null: true, least: 255}, "provider": {least: 20},
	"state": {unsaid: true, least: 16}, "updated_at": {unsaid: true, least: 64},
	"reference_id_at": {null: true, least: 64}, "granted_scopes_at": {null: true, least: 64}, "provider_at": {null: true, least: 64}, "state_at": {null: true, least: 64},
	"payload_id": {least: 42}, "data_type": {least: 20}, "payload_type": {least: 24}, "created_at": {least: 27}, "start_time": {null: true, least: 20}, "end_time": {null: true, least: 20},
}

// compared tells whether requests compare the column with a text of ours.
func (c column) compared() bool {
	return c.key || c.name == "user_id" || strings.HasSuffix(c.name, "_at")
}

// columnOf is a column of a name; the table of the others has no data_type.
func columnOf(name, kind string) column {
	c := needs[name]
	c.name, c.kind = name, kind
	return c
}

// table is one of ours. The first column is its key.
type table struct {
	name    string // with its schema
	columns []column
	of      string // the table that user_id refers to, "" in that one
}

// tables are the three tables of a brand in a schema.
type tables struct {
	schema, brand     string
	users, data, misc table
}

func tablesOf(brand, schema string) tables {
	texts := func(names ...string) (all []column) {
		for _, n := range names {
			all = append(all, columnOf(n, "TEXT"))
		}
		return all
	}
	at := func(name string) column { return columnOf(name, "TIMESTAMPTZ") }
	t := tables{schema: schema, brand: brand, users: table{name: schema + "." + brand + "_users"}}
	for _, c := range sqltables.Of(brand).Users.Columns {
		if c.Name == "created_at" {
			t.users.columns = append(t.users.columns, at(c.Name))
		} else {
			t.users.columns = append(t.users.columns, texts(c.Name)...)
		}
	}
	payloads := func(name string, columns ...column) table {
		all := append(texts("payload_id", "user_id", "data_type"), columns...)
		return table{schema + "." + brand + name, append(all, texts("updated_at")...), t.users.name}
	}
	t.data = payloads("_data_payloads", at("created_at"), at("start_time"), at("end_time"))
	t.misc = payloads("_misc_payloads", append(texts("payload_type"), at("created_at"))...)
	t.misc.columns[2].null = true // data_type
	for _, one := range t.all() {
		one.columns[0].key = true
	}
	return t
}

func (t tables) all() []table { return []table{t.users, t.data, t.misc} }

func (t table) key() string { return t.columns[0].name }

// bare is the name without the schema, as PostgREST's paths have it.
func (t table) bare() string { return t.name[strings.IndexByte(t.name, '.')+1:] }

func (t table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// create makes the table unless it is there. Whoever has the project's public key
// can read tables without row level security through PostgREST; service_role
// passes it.
func (t table) create() []string {
	all := t.make(t.columns)
	all[0] = strings.Replace(all[0], "CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1)
	return append(all, t.grant("service_role"))
}

// make makes the table with some of its columns, without rights.
func (t table) make(columns []column) []string {
	texts := make([]string, len(columns))
	for i, c := range columns {
		texts[i] = c.name + " " + c.kind
		switch {
		case i == 0:
			texts[i] += " PRIMARY KEY"
		case c.name == "user_id":
			texts[i] += " NOT NULL REFERENCES " + t.of + " (user_id)"
		}
	}
	return []string{"CREATE TABLE " + t.name + " (" + strings.Join(texts, ", ") + ")", "ALTER TABLE " + t.name + " ENABLE ROW LEVEL SECURITY"}
}

// add completes a table that is there.
func (t table) add() string {
	columns := make([]string, len(t.columns))
	for i, c := range t.columns {
		columns[i] = "ADD COLUMN IF NOT EXISTS " + c.name + " " + c.kind
	}
	return "ALTER TABLE " + t.name + " " + strings.Join(columns, ", ")
}

// index makes the key unique, without which there is no upsert.
func (t table) index() string {
	return fmt.Sprintf("CREATE UNIQUE INDEX IF NOT EXISTS %s_%s_key ON %s (%s)", t.bare(), t.key(), t.name, t.key())
}

func (t table) grant(role string) string {
	return "GRANT SELECT, INSERT, UPDATE ON TABLE " + t.name + " TO " + role
}

// reload tells PostgREST that the tables have changed.
const reload = "NOTIFY pgrst, 'reload schema'"

// keyed tells in SQL whether the key of %[1]s, %[2]s, is unique.
const keyed = `EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = '%[1]s'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND a.attname = '%[2]s')`

// block is the PL/pgSQL that completes all tables, whatever is there. The lock
// keeps two daemons from doing it at once; the timeout keeps readers from
// queueing up behind us behind somebody else.
func (t tables) block() string {
	var b strings.Builder
	b.WriteString("BEGIN\n  PERFORM set_config('lock_timeout', '10s', true);\n  PERFORM pg_advisory_xact_lock(hashtext('fantail'), hashtext('" + t.schema + "'));\n")
	for _, one := range t.all() {
		fmt.Fprintf(&b, "\n  IF to_regclass('%s') IS NULL THEN\n    %s;\n  END IF;\n", one.name, strings.Join(one.create(), ";\n    "))
		fmt.Fprintf(&b, "  %s;\n", strings.ReplaceAll(one.add(), " ADD COLUMN", "\n    ADD COLUMN"))
		fmt.Fprintf(&b, "  IF NOT "+keyed+" THEN\n    %[3]s;\n  END IF;\n", one.name, one.key(), one.index())
	}
	b.WriteString("\n  PERFORM pg_notify('pgrst', 'reload schema');\nEND")
	return b.String()
}

// script completes all tables. It may be run any number of times.
func (t tables) script() string { return "DO $fantail$\n" + t.block() + "\n$fantail$;\n" }

// function is the name of what function.sql installs.
func (t tables) function() string { return t.brand + "_complete_tables" }
