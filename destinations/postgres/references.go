package postgres

import (
	"fmt"
	"slices"
	"strings"
)

// reference is a foreign key.
type reference struct {
	Name      string   `json:"name"`  // quoted
	Bare      string   `json:"bare"`  // as errors give it
	Table     string   `json:"table"` // that has it, quoted, with its schema
	To        string   `json:"to"`    // the other
	Columns   []string `json:"columns"`
	ToColumns []string `json:"to_columns"`
	Then      string   `json:"then"` // what it does and when, as SQL
}

func (r reference) drop() string { return "ALTER TABLE " + r.Table + " DROP CONSTRAINT " + r.Name }

func (r reference) add() string {
	return fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)%s", r.Table, r.Name, names(r.Columns), r.To, names(r.ToColumns), r.Then)
}

// waits says what a foreign key of a table means for deliveries.
func (r reference) waits(t presence) string {
	return fmt.Sprintf("the foreign key %s of %s has events wait whose %s is not in %s, and the user_id of those without a user is ''", r.Bare, t.Name, strings.Join(r.Columns, ", "), r.To)
}

// unbound has findings drop the foreign keys that hold columns whose type changes
// to those of other tables, and make them again where both change.
func (at *place) unbound(all []finding) []finding {
	var before, after finding
	for _, t := range at.Tables {
		for _, r := range t.References {
			from, to := at.retyped(all, r.Table, r.Columns), at.retyped(all, r.To, r.ToColumns)
			if from || to {
				before.sql = append(before.sql, r.drop())
			}
			if from && to {
				after.sql = append(after.sql, r.add())
			}
		}
	}
	return slices.Concat([]finding{before}, all, []finding{after})
}

// retyped tells whether findings change the type of one of columns.
func (at *place) retyped(all []finding, relation string, columns []string) bool {
	return slices.ContainsFunc(at.Tables, func(t presence) bool {
		return t.Relation == relation && slices.ContainsFunc(all, func(f finding) bool {
			return f.table == t.Name && f.retyped != "" && slices.Contains(columns, f.retyped)
		})
	})
}

// foreignKey says how the foreign key of a name is ended.
func (at *place) foreignKey(name string) string {
	for _, t := range at.Tables {
		for _, r := range t.References {
			if r.Bare == name && r.Table == t.Relation {
				return fmt.Sprintf("a foreign key of yours: what it refers to may still come, or run as the owner of the tables: %s", r.drop())
			}
		}
	}
	return ""
}

// names are columns as SQL has them.
func names(columns []string) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = quoted(c)
	}
	return strings.Join(all, ", ")
}
