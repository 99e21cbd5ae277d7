package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// place is what the catalogue says of where the tables are, or would be.
type place struct {
	User      string `json:"user"`
	Schema    string `json:"schema"` // "": there is no such schema, or none that the user may use
	Barred    string `json:"barred"` // the schema that the user would use, and has no right to; "": none
	MayCreate bool   `json:"may_create"`
	ReadOnly  bool   `json:"read_only"`
	Standby   bool   `json:"standby"`
	Database  string `json:"database"`
	Encoding  string `json:"encoding"` // of the database
	Tables    []presence
}

// presence is what the catalogue says of one table.
type presence struct {
	sqltables.Table `json:"-"`
	Relation        string      `json:"relation"` // quoted, with its schema; "": there is none
	Kind            string      `json:"kind"`     // pg_class.relkind
	MayWrite        bool        `json:"may_write"`
	MayAlter        bool        `json:"may_alter"`
	Columns         []column    `json:"columns"`
	Indexes         []index     `json:"indexes"`
	Checks          []named     `json:"checks"`    // CHECK constraints
	Triggers        []string    `json:"triggers"`  // that may keep rows out: BEFORE, for each row
	Functions       bool        `json:"functions"` // there are triggers or rules at all
	Rules           []string    `json:"rules"`
	Barred          []string    `json:"barred"`      // sequences of defaults that the user may not use, quoted
	Secured         bool        `json:"secured"`     // row-level security holds for the user
	Policies        string      `json:"policies"`    // for which commands it has policies that permit: of a, r, w and *
	Named           []string    `json:"named"`       // names of all policies
	Restrictive     []string    `json:"restrictive"` // quoted names of policies that hold for the user and only restrict
	References      []reference `json:"references"`  // foreign keys of the table and to it
	Expressions     []named     `json:"expressions"` // defaults, generated columns, indexes and constraints with the columns that they are made of
	Published       []string    `json:"published"`   // publications of updates, where the table has no replica identity
	Filtered        []string    `json:"filtered"`    // publications of some of its rows or columns
	Partition       []string    `json:"partition"`   // columns of the partition key; of an ordinary table none
	Strategy        string      `json:"strategy"`    // how it is partitioned: h, l or r
	Partitions      []string    `json:"partitions"`  // their names
}

// column is a column as the catalogue has it.
type column struct {
	Name          string `json:"name"`
	Type          string `json:"type"`     // as SQL writes it
	Base          string `json:"base"`     // the type below, where it is a domain, by its name alone
	Category      string `json:"category"` // pg_type.typcategory of that
	Length        int    `json:"length"`
	NotNull       bool   `json:"not_null"`
	Domain        string `json:"domain"` // its name; "": it is none
	Default       bool   `json:"default"`
	Generated     string `json:"generated"`     // pg_attribute.attgenerated
	Identity      string `json:"identity"`      // pg_attribute.attidentity
	Nondetermined string `json:"nondetermined"` // its collation, quoted, if different texts may be equal in it
}

// index is an index, or a constraint that has one.
type index struct {
	Name          string   `json:"name"`       // quoted, with its schema
	Constraint    string   `json:"constraint"` // quoted; "": it is an index alone
	Bare          string   `json:"bare"`       // its name, as errors give it
	Columns       []string `json:"columns"`    // "" is an expression
	Unique        bool     `json:"unique"`
	Primary       bool     `json:"primary"`
	Exclusion     bool     `json:"exclusion"`
	Whole         bool     `json:"whole"` // valid, and of all rows
	Deferrable    bool     `json:"deferrable"`
	Nondetermined bool     `json:"nondetermined"`
}

// named is a constraint with its columns.
type named struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// lookAround asks the catalogue, which anybody may read, and changes nothing.
// Tables are looked for as statements find them.
const lookAround = `
WITH barred AS (
  SELECT n.nspname FROM pg_namespace n WHERE NOT has_schema_privilege(n.oid, 'USAGE') AND
    CASE WHEN $1 <> '' THEN n.nspname = $1 ELSE
      current_schema() IS NULL AND EXISTS (SELECT FROM unnest(string_to_array(current_setting('search_path'), ',')) s
        WHERE trim(s) = quote_ident(n.nspname) OR trim(s) = '"$user"' AND n.nspname = current_user) END
  ORDER BY n.nspname <> current_user LIMIT 1
), named AS (
  SELECT name, place, n.oid AS schema, n.nspname
  FROM unnest($2::text[]) WITH ORDINALITY AS w(name, place)
  LEFT JOIN pg_namespace n ON n.nspname = CASE WHEN $1 <> '' THEN $1 ELSE COALESCE(current_schema(), (SELECT nspname FROM barred)) END
), found AS (
  SELECT w.name, w.place, c.oid, c.relkind, c.relowner, c.relreplident, o.nspname, c.relname
  FROM named w
  LEFT JOIN pg_class c ON c.relname = w.name AND CASE WHEN $1 = '' AND current_schema() IS NOT NULL THEN pg_table_is_visible(c.oid) ELSE c.relnamespace = w.schema END
  LEFT JOIN pg_namespace o ON o.oid = c.relnamespace
)
SELECT json_build_object(
  'user', current_user,
  'schema', COALESCE((SELECT nspname FROM named LIMIT 1), ''),
  'barred', COALESCE((SELECT nspname FROM barred), ''),
  'may_create', COALESCE((SELECT has_schema_privilege(schema, 'CREATE') FROM named LIMIT 1), false),
  'read_only', current_setting('transaction_read_only') = 'on',
  'standby', pg_is_in_recovery(), 'database', current_database(),
  'encoding', (SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()),
  'tables', (SELECT json_agg(json_build_object(
    'relation', COALESCE(quote_ident(f.nspname) || '.' || quote_ident(f.relname), ''),
    'kind', COALESCE(f.relkind::text, ''),
    'may_write', COALESCE((SELECT bool_and(has_column_privilege(f.oid, a.attnum, 'SELECT') AND has_column_privilege(f.oid, a.attnum, 'INSERT')
        AND has_column_privilege(f.oid, a.attnum, 'UPDATE'))
      FROM pg_attribute a WHERE a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY($3::text[])),
      has_table_privilege(f.oid, 'SELECT') AND has_table_privilege(f.oid, 'INSERT') AND has_table_privilege(f.oid, 'UPDATE'), false),
    'may_alter', COALESCE(pg_has_role(f.relowner, 'USAGE'), false),
    'columns', (SELECT json_agg(json_build_object(
        'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'base', b.typname, 'category', b.typcategory::text,
        'length', CASE WHEN b.typname IN ('varchar', 'bpchar') THEN greatest(CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END - 4, 0)
          WHEN b.typname = 'name' THEN 63 ELSE 0 END,
        'not_null', a.attnotnull OR t.typnotnull, 'domain', CASE WHEN t.typtype = 'd' THEN t.typname ELSE '' END,
        'default', a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
        'generated', a.attgenerated::text, 'identity', a.attidentity::text,
        'nondetermined', CASE WHEN l.collisdeterministic THEN '' ELSE COALESCE(quote_ident(l.collname), '') END) ORDER BY a.attnum)
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
      LEFT JOIN pg_collation l ON l.oid = a.attcollation
      WHERE a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'indexes', (SELECT json_agg(json_build_object(
        'name', format('%I.%I', f.nspname, x.relname), 'bare', x.relname, 'constraint', COALESCE(quote_ident(k.conname), ''),
        'columns', ARRAY(SELECT COALESCE((SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = f.oid AND a.attnum = i.indkey[n] AND i.indkey[n] <> 0), '')
          FROM generate_series(0, i.indnkeyatts - 1) n),
        'unique', i.indisunique, 'primary', i.indisprimary, 'exclusion', i.indisexclusion, 'whole', i.indisvalid AND i.indpred IS NULL, 'deferrable', NOT i.indimmediate,
        'nondetermined', EXISTS (SELECT FROM pg_collation l WHERE l.oid = ANY(i.indcollation::oid[]) AND NOT l.collisdeterministic)) ORDER BY x.relname)
      FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
      WHERE i.indrelid = f.oid),
    'checks', (SELECT json_agg(json_build_object('name', k.conname,
        'columns', ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = f.oid AND a.attnum = ANY(k.conkey))) ORDER BY k.conname)
      FROM pg_constraint k WHERE k.conrelid = f.oid AND k.contype = 'c'),
    'triggers', (SELECT json_agg(quote_ident(g.tgname) ORDER BY g.tgname) FROM pg_trigger g
      WHERE g.tgrelid = f.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0),
    'functions', EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = f.oid AND NOT g.tgisinternal),
    'rules', (SELECT json_agg(quote_ident(u.rulename) ORDER BY u.rulename) FROM pg_rewrite u WHERE u.ev_class = f.oid AND u.ev_type IN ('2', '3')),
    'barred', (SELECT json_agg(DISTINCT format('%I.%I', o.nspname, s.relname)) FROM pg_attrdef e
      JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass
      JOIN pg_class s ON s.oid = d.refobjid JOIN pg_namespace o ON o.oid = s.relnamespace
      WHERE e.adrelid = f.oid AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') AND NOT has_sequence_privilege(s.oid, 'UPDATE') ELSE false END),
    'secured', COALESCE(row_security_active(f.oid), false),
    'policies', COALESCE((SELECT string_agg(DISTINCT y.polcmd::text, '') FROM pg_policy y WHERE y.polrelid = f.oid AND y.polpermissive
      AND EXISTS (SELECT FROM unnest(y.polroles) r WHERE r = 0 OR pg_has_role(r, 'USAGE'))), ''),
    'named', (SELECT json_agg(y.polname ORDER BY y.polname) FROM pg_policy y WHERE y.polrelid = f.oid),
    'restrictive', (SELECT json_agg(quote_ident(y.polname) ORDER BY y.polname) FROM pg_policy y WHERE y.polrelid = f.oid AND NOT y.polpermissive
      AND EXISTS (SELECT FROM unnest(y.polroles) r WHERE r = 0 OR pg_has_role(r, 'USAGE'))),
    'references', (SELECT json_agg(json_build_object('name', quote_ident(k.conname), 'bare', k.conname, 'table', format('%I.%I', n1.nspname, c1.relname), 'to', format('%I.%I', n2.nspname, c2.relname),
        'columns', ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, i) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
        'to_columns', ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(n, i) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i),
        'then', CASE k.confupdtype WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'n' THEN ' ON UPDATE SET NULL' WHEN 'd' THEN ' ON UPDATE SET DEFAULT' WHEN 'r' THEN ' ON UPDATE RESTRICT' ELSE '' END ||
          CASE k.confdeltype WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'n' THEN ' ON DELETE SET NULL' WHEN 'd' THEN ' ON DELETE SET DEFAULT' WHEN 'r' THEN ' ON DELETE RESTRICT' ELSE '' END ||
          CASE WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END) ORDER BY k.conname)
      FROM pg_constraint k JOIN pg_class c1 ON c1.oid = k.conrelid JOIN pg_namespace n1 ON n1.oid = c1.relnamespace
      JOIN pg_class c2 ON c2.oid = k.confrelid JOIN pg_namespace n2 ON n2.oid = c2.relnamespace
      WHERE k.contype = 'f' AND k.conparentid = 0 AND f.oid IN (k.conrelid, k.confrelid)),
    'expressions', (SELECT json_agg(json_build_object('name', e.name,
        'columns', ARRAY(SELECT a.attname::text FROM pg_depend d JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum = d.refobjsubid
          WHERE d.classid = e.class AND d.objid = e.id AND d.refclassid = 'pg_class'::regclass AND d.refobjid = f.oid AND d.refobjsubid <> e.itself)) ORDER BY e.name)
      FROM (SELECT 'pg_attrdef'::regclass, v.oid, v.adnum::int, 'the column ' || a.attname FROM pg_attrdef v JOIN pg_attribute a ON a.attrelid = v.adrelid AND a.attnum = v.adnum
          WHERE v.adrelid = f.oid AND NOT a.attname = ANY($3::text[])
        UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, 0, 'the index ' || x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
          WHERE i.indrelid = f.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
        UNION ALL SELECT 'pg_constraint'::regclass, k.oid, 0, 'the constraint ' || k.conname FROM pg_constraint k WHERE k.conrelid = f.oid AND k.contype = 'c') e(class, id, itself, name)),
    'published', CASE WHEN f.relkind IN ('r', 'p') AND NOT (f.relreplident = 'f'
        OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = f.oid AND CASE f.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END))
      THEN (SELECT json_agg(p.pubname ORDER BY p.pubname) FROM pg_publication_tables q JOIN pg_publication p ON p.pubname = q.pubname
        WHERE p.pubupdate AND q.schemaname = f.nspname AND q.tablename = f.relname) END,
    'filtered', CASE WHEN f.relreplident <> 'f' THEN (SELECT json_agg(p.pubname ORDER BY p.pubname)
      FROM pg_publication_rel q JOIN pg_publication p ON p.oid = q.prpubid
      WHERE p.pubupdate AND q.prrelid = f.oid AND (to_jsonb(q) ->> 'prqual' IS NOT NULL OR to_jsonb(q) ->> 'prattrs' IS NOT NULL)) END,
    'partition', (SELECT json_agg(COALESCE((SELECT a.attname FROM pg_attribute a WHERE a.attrelid = f.oid AND a.attnum = r.n), ''))
      FROM pg_partitioned_table p, unnest(p.partattrs::int2[]) r(n) WHERE p.partrelid = f.oid),
    'strategy', COALESCE((SELECT p.partstrat::text FROM pg_partitioned_table p WHERE p.partrelid = f.oid), ''),
    'partitions', CASE WHEN f.relkind = 'p' THEN (SELECT json_agg(x.relname) FROM pg_inherits h JOIN pg_class x ON x.oid = h.inhrelid WHERE h.inhparent = f.oid) END
  ) ORDER BY f.place) FROM found f))`

// maxThings is more than a table has: PostgreSQL allows 1,600 columns.
const maxThings = 3000

// look returns what there is.
func (p *postgres) look(ctx context.Context, c *conn) (*place, error) {
	all := p.tables.All()
	var names, columns [][]*string
	for _, t := range all {
		names = append(names, []*string{&t.Name})
		for _, name := range t.Names() {
			columns = append(columns, []*string{&name})
		}
	}
	same := func(row []*string) []*string { return row }
	r := c.ExecParams(ctx, lookAround, [][]byte{[]byte(p.schema), arrays(names, same)[0], arrays(columns, same)[0]}, []uint32{textOID, 0, 0}, nil, nil).Read()
	if r.Err != nil {
		return nil, r.Err
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 {
		return nil, fmt.Errorf("the catalogue has %d answers to one question", len(r.Rows))
	}
	at := &place{}
	if err := json.Unmarshal(r.Rows[0][0], at); err != nil {
		return nil, fmt.Errorf("read what the catalogue answers: %w", err)
	}
	if len(at.Tables) != len(all) {
		return nil, fmt.Errorf("the catalogue knows %d tables of %d", len(at.Tables), len(all))
	}
	for i := range at.Tables {
		t := &at.Tables[i]
		if n := len(t.Columns) + len(t.Indexes) + len(t.Checks) + len(t.Triggers) + len(t.Rules) + len(t.References); n > maxThings {
			return nil, fmt.Errorf("the catalogue knows %d columns, indexes and others of a table", n)
		}
		t.Table = all[i]
	}
	return at, nil
}

// existing is c as sqltables knows columns.
func (c column) existing() sqltables.Existing {
	e := sqltables.Existing{Name: c.Name, Type: c.Type, Length: c.Length, NotNull: c.NotNull, Default: c.Default,
		Generated: c.Generated != "" || c.Identity == "a", Holds: sqltables.HoldsOther}
	switch {
	case c.Base == "uuid":
		e.Holds = sqltables.HoldsUUID
	case c.Category == "S":
		e.Holds = sqltables.HoldsText
	case c.Category == "D", c.Category == "T":
		e.Holds = sqltables.HoldsTime
	case c.Category == "N":
		e.Holds = sqltables.HoldsNumber
	}
	switch {
	case c.Base == "citext":
		e.Merges = "the type citext knows no case"
	case c.Base == "bpchar":
		e.Merges = "the type character ignores blanks at the end"
	case c.Nondetermined != "":
		e.Merges = "the collation " + c.Nondetermined
	}
	return e
}

// keyed tells whether statements find the key: a unique index of it alone.
func (t presence) keyed() bool {
	for _, i := range t.Indexes {
		if i.isKey(t.Key().Name) && !i.Deferrable {
			return true
		}
	}
	return false
}

// isKey tells whether statements take the index for the key.
func (i index) isKey(name string) bool {
	return i.Unique && i.Whole && len(i.Columns) == 1 && i.Columns[0] == name
}

// index returns the one of a name, as errors have it.
func (t presence) index(name string) (index, bool) {
	for _, i := range t.Indexes {
		if i.Bare == name {
			return i, true
		}
	}
	return index{}, false
}

// has tells whether the table has a column.
func (t presence) has(name string) bool {
	_, ok := t.column(name)
	return ok
}

func (t presence) column(name string) (column, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return column{}, false
}

// primary is the primary key, its Name "" if there is none.
func (t presence) primary() index {
	for _, i := range t.Indexes {
		if i.Primary {
			return i
		}
	}
	return index{}
}
