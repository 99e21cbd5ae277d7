package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// stands tells whether rows are in the tables, after the server has taken some and
// written none: a trigger may keep out what changes nothing, as PostgreSQL's own
// suppress_redundant_updates_trigger does. Tables that inherit do not count, since
// nothing keeps rows from being there twice.
func (p *postgres) stands(ctx context.Context, at *place, rows *sqltables.Rows) (bool, error) {
	all := valuesOf(rows)
	same := func(row []*string) []*string { return row }
	for i, t := range at.Tables {
		for values := all[i]; len(values) > 0; {
			n := min(len(values), maxRows)
			there := ""
			err := p.session(ctx, func(c *conn) error {
				r := c.ExecParams(ctx, t.standing(), arrays(values[:n], same), nil, nil, nil).Read()
				if r.Err == nil && len(r.Rows) == 1 && len(r.Rows[0]) == 1 {
					there = string(r.Rows[0][0])
				}
				return r.Err
			})
			if err != nil || there != fmt.Sprint(n) {
				return false, err
			}
			values = values[n:]
		}
	}
	return true, nil
}

// standing counts the rows that are as a statement would have left them, or newer.
func (t presence) standing() string {
	only := "ONLY "
	if t.Kind == "p" {
		only = ""
	}
	names, key := t.Names(), t.Key().Name
	params := make([]string, len(names))
	for i := range names {
		params[i] = fmt.Sprintf("$%d::text[]", i+1)
	}
	is := []string{fmt.Sprintf(`t.%[1]s = s.%[1]s AND t.%[1]s::text COLLATE "C" = s.%[1]s`, key)}
	if t.has("payload_url") {
		is = append(is, "t.payload_url = s.payload_url")
	}
	for _, c := range t.Table.Columns {
		if c.Type == sqltables.Mark {
			is = append(is, fmt.Sprintf(`(s.%[1]s IS NULL OR t.%[1]s COLLATE "C" >= s.%[1]s)`, c.Name))
		}
	}
	return fmt.Sprintf("SELECT count(*) FROM %s%s t JOIN unnest(%s) AS s(%s) ON %s", only, t.Relation, strings.Join(params, ", "), strings.Join(names, ", "), strings.Join(is, " AND "))
}
