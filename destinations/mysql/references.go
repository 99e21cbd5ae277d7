package mysql

import (
	"fmt"
	"slices"
	"strings"
)

func (r reference) drop() string {
	return "ALTER TABLE " + quoted(r.table) + " DROP FOREIGN KEY " + quoted(r.name)
}

func (r reference) add() string {
	return fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)%s", quoted(r.table), quoted(r.name), names(r.columns), quoted(r.to), names(r.toColumns), r.then)
}

// names are columns as SQL has them.
func names(columns []string) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = quoted(c)
	}
	return strings.Join(all, ", ")
}

// unbound has statements that change columns, by table, drop the foreign keys that
// hold them to those of other tables, and make them again where both change: no
// server changes the type or the collation of a column of one.
func (c *catalogue) unbound(statements []string, changed map[string][]string) []string {
	var before, after []string
	for _, r := range c.bound {
		changes := func(table string, columns []string) bool {
			return slices.ContainsFunc(columns, func(column string) bool { return slices.Contains(changed[table], column) })
		}
		from, to := changes(r.table, r.columns), changes(r.to, r.toColumns)
		if from || to {
			before = append(before, r.drop())
		}
		if from && to {
			after = append(after, r.add())
		}
	}
	return slices.Concat(before, statements, after)
}

// refers tells whether the user_id of a table refers to that of users.
func (c *catalogue) refers(table, users string) bool {
	return slices.ContainsFunc(c.bound, func(r reference) bool {
		return r.table == table && r.to == users && slices.Equal(r.columns, []string{"user_id"}) && slices.Equal(r.toColumns, []string{"user_id"})
	})
}
