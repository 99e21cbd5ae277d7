package mysql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// misfit are the columns of our tables that cannot hold what we write, or not all
// of it, of those that pick takes. A collation that takes different users for one
// refuses no delivery but those of such users: the statements see to that no row
// of another is changed.
func (m *mysql) misfit(c *catalogue, pick func(sqltables.Misfit) bool) (all []sqltables.Misfit) {
	for _, t := range m.tables.All() {
		f := c.tables[t.Name]
		if f == nil {
			continue
		}
		existing := make([]sqltables.Existing, len(f.columns))
		for i, x := range f.columns {
			existing[i] = x.Existing
		}
		for _, x := range t.Misfits(existing) {
			if x.Remedy == sqltables.Exact {
				x.Sure = false
			}
			if pick(x) {
				all = append(all, x)
			}
		}
	}
	return all
}

func sure(x sqltables.Misfit) bool { return x.Sure }

// misfits words them and says what to run, "" if there are none.
func (m *mysql) misfits(c *catalogue, pick func(sqltables.Misfit) bool) string {
	all := m.misfit(c, pick)
	script := m.script(c, all)
	return m.shown(sqltables.Advice(together(all), func(sqltables.Misfit) string { return script }))
}

// together makes one of what has the same character set, as most columns of a
// table do if one does.
func together(all []sqltables.Misfit) (some []sqltables.Misfit) {
	for _, x := range all {
		if n := len(some) - 1; n >= 0 && x.Remedy == sqltables.Unicode && some[n].Remedy == sqltables.Unicode && some[n].Table == x.Table && some[n].Existing.Charset == x.Existing.Charset {
			some[n].Text = some[n].Existing.Name + ", " + strings.Replace(x.Text, " has ", " have ", 1)
			some[n].Existing.Name += ", " + x.Existing.Name
			continue
		}
		some = append(some, x)
	}
	return some
}

// script is the SQL that ends misfits, a statement for each table.
func (m *mysql) script(c *catalogue, all []sqltables.Misfit) string {
	exactly := slices.ContainsFunc(all, func(x sqltables.Misfit) bool { return x.Remedy == sqltables.Exact })
	var statements []string
	changed := map[string][]string{}
	for _, t := range m.tables.All() {
		var changes []string
		for _, x := range all {
			if x.Table == t.Name && (!exactly || x.Existing.Name != "user_id") {
				changes = append(changes, m.change(c, x))
				changed[t.Name] = append(changed[t.Name], x.Existing.Name)
			}
		}
		// Columns in different binary collations no query can join.
		if x := c.get(t.Name).column("user_id"); exactly && x != nil && x.collation != c.server.exact() && (t.Name == m.tables.Users.Name || strings.HasSuffix(x.collation, "_bin") || x.Charset != "" || c.refers(t.Name, m.tables.Users.Name)) {
			changes = append(changes, "MODIFY user_id "+typeOf(sqltables.UserID, c.server.exact())+" NOT NULL")
			changed[t.Name] = append(changed[t.Name], "user_id")
		}
		if len(changes) > 0 {
			statements = append(statements, "ALTER TABLE "+quoted(t.Name)+" "+strings.Join(changes, ", "))
		}
	}
	return strings.Join(c.unbound(statements, changed), "; ")
}

// change is the part of an ALTER TABLE that ends a misfit.
func (m *mysql) change(c *catalogue, x sqltables.Misfit) string {
	now := c.get(x.Table).column(x.Existing.Name)
	name := quoted(now.Name)
	notNull := ""
	if now.inKey || !x.Column.Null && now.NotNull {
		notNull = " NOT NULL"
	}
	modify := func(definition string) string { return "MODIFY " + name + " " + definition }
	switch x.Remedy {
	case sqltables.AllowNull:
		return modify(now.definition + " NULL")
	case sqltables.AddDefault:
		switch {
		case now.inKey && now.counts:
			return modify(now.definition + " NOT NULL AUTO_INCREMENT")
		case now.inKey: // no key takes NULL
			return "ALTER COLUMN " + name + " SET DEFAULT ''"
		}
		return modify(now.definition + " NULL")
	case sqltables.Ungenerate: // no MODIFY makes an ordinary column of a virtual one
		return "DROP COLUMN " + name + ", ADD COLUMN " + name + " " + typeOf(x.Column.Type, c.exact(m.tables)) + " NULL"
	case sqltables.Unicode:
		if x.Column.Type == sqltables.Text || x.Column.Type == sqltables.State {
			return modify(now.Type + " CHARACTER SET utf8mb4" + notNull)
		}
	}
	return modify(typeOf(x.Column.Type, c.exact(m.tables)) + notNull)
}

// foreign are the unique keys of a table through which a row may meet one with
// another key of ours. Through those that have all of ours none can, nor through
// those with a column that is not ours and counts, or is NULL.
func (f *found) foreign(t sqltables.Table) (names, texts []string) {
	if f == nil {
		return nil, nil
	}
	for _, k := range f.unique {
		if k.meets(f, t) {
			names = append(names, k.name)
			texts = append(texts, fmt.Sprintf("%s (%s)", k.name, strings.Join(k.parts, ", ")))
		}
	}
	return names, texts
}

func (k uniqueKey) meets(f *found, t sqltables.Table) bool {
	for _, part := range k.parts {
		if part == t.Key().Name {
			return false
		}
		ours := false
		for _, c := range t.Columns {
			ours = ours || c.Name == part
		}
		if x := f.column(part); !ours && x != nil && (x.auto || !x.NotNull && !x.Default && !x.Generated) {
			return false
		}
	}
	return true
}

// shown is a text made of what the server's catalogue says, which may be anything.
func (m *mysql) shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(m.scrub.Excerpt(text, maxShown), ""))
}

// maxShown is longer than the SQL that changes every column of the three tables.
const maxShown = 8 << 10
