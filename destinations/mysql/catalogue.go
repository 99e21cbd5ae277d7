package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// catalogue is what the server tells of itself and of our tables.
type catalogue struct {
	server server
	bound  []reference       // to our tables, those between them too
	tables map[string]*found // by name; none: there is no such table
}

// server is what sessions are like.
type server struct {
	maria            bool
	strict, readOnly bool
}

// found is one of our tables as the server has it.
type found struct {
	view          bool // or anything else that is no table
	engine        string
	transactional bool
	parted        string // by which expressions the table is partitioned; "": it is not
	columns       []column
	unique        []uniqueKey
	checks        []constraint
	references    []reference // those of the table
	triggers      []string    // those that the user may see
}

// column is a column, with what MySQL alone has of it.
type column struct {
	sqltables.Existing
	definition string // to give it again, without what it says of NULL
	charset    string
	collation  string // "" for what is no text
	inKey      bool   // of the primary key
	counts     bool   // is an integer
	auto       bool   // has values of its own: AUTO_INCREMENT
	trims      bool   // CHAR: spaces at the end of a text are lost
	standard   string // its default as SQL, as MariaDB tells it; "": it has none
	made       string // what a generated column is made of; "": it is none, or the user may not see it
}

// uniqueKey is a unique key. Parts are the names of columns, with the length of
// a prefix behind, as "user_id(8)"; of an expression "(...)".
type uniqueKey struct {
	name  string
	parts []string
}

// constraint is a CHECK. That of a column, as MariaDB has it, has the column's name.
type constraint struct {
	name   string
	clause string // "": the user may not see it
}

// reference is a foreign key of one of our tables, or to one.
type reference struct {
	name, table, to    string
	columns, toColumns []string
	then               string // what it does, as SQL
}

// read asks the server. It shows what the user may see: of a table to which they
// have no right at all, nothing.
func (m *mysql) read(ctx context.Context) (*catalogue, error) {
	c := &catalogue{tables: map[string]*found{}}
	var version, mode string
	err := m.db().QueryRowContext(ctx, "SELECT VERSION(), @@session.sql_mode, @@global.read_only").Scan(&version, &mode, &c.server.readOnly)
	if err != nil {
		return nil, err
	}
	c.server.maria, c.server.strict = strings.Contains(version, "MariaDB"), strings.Contains(mode, "STRICT_ALL_TABLES")
	for _, q := range []struct {
		sql  string
		each func(*sql.Rows) error
	}{
		{`SELECT t.table_name, t.table_type, COALESCE(t.engine, ''), COALESCE(e.transactions, '') = 'YES'
			FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine
			WHERE t.table_schema = DATABASE() AND t.table_name IN (?, ?, ?)`, c.table},
		{`SELECT DISTINCT table_name, CONCAT_WS(' ', partition_method, partition_expression, subpartition_expression) FROM information_schema.partitions
			WHERE table_schema = DATABASE() AND table_name IN (?, ?, ?) AND partition_name IS NOT NULL`, c.partition},
		{`SELECT table_name, column_name, data_type, LEFT(column_type, 200), COALESCE(character_maximum_length, 0), COALESCE(character_set_name, ''), COALESCE(collation_name, ''),
			is_nullable = 'NO', column_default IS NOT NULL AND NOT (is_nullable = 'YES' AND column_default = 'NULL'), extra, column_key = 'PRI', COALESCE(LEFT(column_default, 1000), ''), COALESCE(LEFT(generation_expression, 4000), '')
			FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN (?, ?, ?) ORDER BY table_name, ordinal_position`, c.column},
		{`SELECT table_name, index_name, COALESCE(column_name, ''), COALESCE(sub_part, 0)
			FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name IN (?, ?, ?) AND non_unique = 0 ORDER BY table_name, index_name, seq_in_index`, c.key},
		{`SELECT t.table_name, t.constraint_name, COALESCE(LEFT(k.check_clause, 4000), '')
			FROM information_schema.table_constraints t LEFT JOIN information_schema.check_constraints k
			ON k.constraint_schema = t.constraint_schema AND k.constraint_name = t.constraint_name` + map[bool]string{true: " AND k.table_name = t.table_name"}[c.server.maria] + `
			WHERE t.table_schema = DATABASE() AND t.table_name IN (?, ?, ?) AND t.constraint_type = 'CHECK' ORDER BY t.table_name, t.constraint_name`, c.check},
		{`SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_name, k.referenced_column_name,
			CONCAT(' ON UPDATE ', COALESCE(r.update_rule, 'RESTRICT'), ' ON DELETE ', COALESCE(r.delete_rule, 'RESTRICT')), k.table_name IN (?, ?, ?), k.referenced_table_name IN (?, ?, ?)
			FROM information_schema.key_column_usage k LEFT JOIN information_schema.referential_constraints r
			ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name
			WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL AND (k.table_name IN (?, ?, ?) OR k.referenced_table_schema = DATABASE() AND k.referenced_table_name IN (?, ?, ?))
			ORDER BY k.table_name, k.constraint_name, k.ordinal_position`, c.reference},
		{`SELECT event_object_table, trigger_name FROM information_schema.triggers
			WHERE event_object_schema = DATABASE() AND event_object_table IN (?, ?, ?) AND event_manipulation <> 'DELETE' ORDER BY event_object_table, trigger_name`, c.trigger},
	} {
		if err := m.each(ctx, q.sql, q.each); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// each runs a query about the three tables, whose names it has any number of times.
func (m *mysql) each(ctx context.Context, query string, each func(*sql.Rows) error) error {
	var names []any
	for range strings.Count(query, "?, ?, ?") {
		for _, t := range m.tables.All() {
			names = append(names, t.Name)
		}
	}
	rows, err := m.db().QueryContext(ctx, query, names...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// get is the table of a name, with nothing in it if there is none.
func (c *catalogue) get(name string) *found {
	if f := c.tables[name]; f != nil {
		return f
	}
	return &found{}
}

// of is the table of a name that a later query tells of, also if it came meanwhile.
func (c *catalogue) of(name string) *found {
	if c.tables[name] == nil {
		c.tables[name] = &found{}
	}
	return c.tables[name]
}

func (c *catalogue) table(rows *sql.Rows) error {
	var name, kind string
	var f found
	if err := rows.Scan(&name, &kind, &f.engine, &f.transactional); err != nil {
		return err
	}
	f.view = kind != "BASE TABLE" && kind != "SYSTEM VERSIONED"
	c.tables[name] = &f
	return nil
}

func (c *catalogue) partition(rows *sql.Rows) error {
	var table, by string
	if err := rows.Scan(&table, &by); err != nil {
		return err
	}
	c.of(table).parted = by
	return nil
}

func (c *catalogue) column(rows *sql.Rows) error {
	var table, kind, extra string
	var x column
	var length int64
	if err := rows.Scan(&table, &x.Name, &kind, &x.Type, &length, &x.charset, &x.collation, &x.NotNull, &x.Default, &extra, &x.inKey, &x.standard, &x.made); err != nil {
		return err
	}
	x.Name, extra = strings.ToLower(x.Name), strings.ToUpper(extra)
	kind = strings.ToLower(kind)
	x.Holds = holdsOf(kind)
	if kind == "enum" { // the first of its list stands for none
		x.Default = true
	}
	x.Length = int(min(length, 1<<30))
	x.Generated = strings.Contains(extra, " GENERATED")
	x.auto = strings.Contains(extra, "AUTO_INCREMENT")
	x.Default = x.Default || x.auto || strings.Contains(extra, "DEFAULT_GENERATED")
	x.trims, x.counts = kind == "char", strings.HasSuffix(kind, "int")
	x.Merges = x.merges()
	x.definition = x.Type
	if x.charset != "" {
		x.definition += " CHARACTER SET " + x.charset + " COLLATE " + x.collation
		if !slices.Contains(unicodes, x.charset) {
			x.Charset = x.charset
		}
	}
	f := c.of(table)
	f.columns = append(f.columns, x)
	return nil
}

// holdsOf is what a type holds. BINARY pads texts with zeros, VARBINARY does not.
func holdsOf(kind string) sqltables.Holds {
	switch kind {
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return sqltables.HoldsText
	case "enum", "set":
		return sqltables.HoldsChoice
	case "date", "datetime", "timestamp", "time", "year":
		return sqltables.HoldsTime
	case "uuid":
		return sqltables.HoldsUUID
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit":
		return sqltables.HoldsNumber
	}
	return sqltables.HoldsOther
}

// unicodes are the character sets that have all of Unicode.
var unicodes = []string{"utf8mb4", "utf16", "utf16le", "utf32", "gb18030"}

// merges says what has different texts be equal, "" if nothing does.
func (x column) merges() string {
	switch {
	case x.collation == "":
		return ""
	case x.trims:
		return "the type " + x.Type + ", which forgets spaces at the end"
	case !strings.HasSuffix(x.collation, "_bin"):
		return "the collation " + x.collation
	case strings.Contains(x.collation, "nopad_bin") || strings.Contains(x.collation, "0900_bin"):
		return ""
	}
	return "the collation " + x.collation + ", which takes no account of spaces at the end"
}

func (c *catalogue) key(rows *sql.Rows) error {
	var table, name, part string
	var prefix int
	if err := rows.Scan(&table, &name, &part, &prefix); err != nil {
		return err
	}
	switch part = strings.ToLower(part); {
	case part == "":
		part = "(...)"
	case prefix > 0:
		part = fmt.Sprintf("%s(%d)", part, prefix)
	}
	f := c.of(table)
	if n := len(f.unique); n == 0 || f.unique[n-1].name != name {
		f.unique = append(f.unique, uniqueKey{name: name})
	}
	last := &f.unique[len(f.unique)-1]
	last.parts = append(last.parts, part)
	return nil
}

func (c *catalogue) check(rows *sql.Rows) error {
	var table string
	var k constraint
	if err := rows.Scan(&table, &k.name, &k.clause); err != nil {
		return err
	}
	f := c.of(table)
	f.checks = append(f.checks, k)
	return nil
}

func (c *catalogue) reference(rows *sql.Rows) error {
	var r reference
	var column, toColumn string
	var of, to bool
	if err := rows.Scan(&r.table, &r.name, &column, &r.to, &toColumn, &r.then, &of, &to); err != nil {
		return err
	}
	r.columns, r.toColumns = []string{strings.ToLower(column)}, []string{strings.ToLower(toColumn)}
	join := func(all []reference) []reference {
		if n := len(all) - 1; n >= 0 && all[n].table == r.table && all[n].name == r.name { // of several columns
			all[n].columns, all[n].toColumns = append(all[n].columns, r.columns...), append(all[n].toColumns, r.toColumns...)
			return all
		}
		return append(all, r)
	}
	if of {
		f := c.of(r.table)
		f.references = join(f.references)
	}
	if of || to {
		c.bound = join(c.bound)
	}
	return nil
}

func (c *catalogue) trigger(rows *sql.Rows) error {
	var table, name string
	if err := rows.Scan(&table, &name); err != nil {
		return err
	}
	f := c.of(table)
	f.triggers = append(f.triggers, name)
	return nil
}
