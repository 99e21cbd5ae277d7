package supabase

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// query is the query of a URL: select, columns, order, limit, on_conflict, filters with eq, lt, gt and
// is.null, and lists of filters in or. Values are literals without a type, as PostgREST's parameters
// are: the database reads them as the column's type.
type query struct {
	columns    []string
	writes     []string // the columns of an insert or a change; nil: those of its body
	order      []string
	limit      int // -1: none
	conflict   string
	conditions []string // with the table's name t
}

func parse(values url.Values) (*query, error) {
	q := &query{limit: -1}
	for name, all := range values {
		for _, value := range all {
			if err := q.add(name, value); err != nil {
				return nil, err
			}
		}
	}
	return q, nil
}

func (q *query) add(name, value string) (err error) {
	switch name {
	case "select":
		q.columns = strings.Split(value, ",")
	case "columns":
		q.writes = strings.Split(value, ",")
	case "limit":
		if q.limit, err = strconv.Atoi(value); err != nil {
			return unreadable(value)
		}
	case "order":
		return q.sort(value)
	case "on_conflict":
		q.conflict = value
	case "or":
		return q.or(value)
	default:
		condition, err := q.filter(name, value)
		if err != nil {
			return err
		}
		q.conditions = append(q.conditions, condition)
	}
	return nil
}

// sort reads column.asc or column.desc, with .nullsfirst or .nullslast behind.
func (q *query) sort(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		parts := strings.Split(one, ".")
		words := map[string]string{"asc": " ASC", "desc": " DESC", "nullsfirst": " NULLS FIRST", "nullslast": " NULLS LAST"}
		by := "t." + pgx.Identifier{parts[0]}.Sanitize()
		for _, p := range parts[1:] {
			if words[p] == "" {
				return unreadable(text)
			}
			by += words[p]
		}
		q.order = append(q.order, by)
	}
	return nil
}

func unreadable(text string) error {
	return refuse(http.StatusBadRequest, "PGRST100", `"failed to parse filter (%s)" (line 1, column 1)`, text)
}

// filter reads op.value of a column. The value is all the rest, as it is.
func (q *query) filter(column, text string) (string, error) {
	op, value, ok := strings.Cut(text, ".")
	if !ok {
		return "", unreadable(text)
	}
	name := "t." + pgx.Identifier{column}.Sanitize()
	if op == "is" && value == "null" {
		return name + " IS NULL", nil
	}
	symbol := map[string]string{"eq": "=", "lt": "<", "gt": ">"}[op]
	if symbol == "" {
		return "", unreadable(text)
	}
	return name + " " + symbol + " " + literal(value), nil
}

// literal is a text in SQL.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// or reads (a.op.value,b.op."value"): what has , . : ( ) or a space is quoted.
func (q *query) or(text string) error {
	inside, opened := strings.CutPrefix(text, "(")
	inside, closed := strings.CutSuffix(inside, ")")
	if !opened || !closed || inside == "" {
		return unreadable(text)
	}
	var any []string
	for inside != "" {
		column, rest, ok := strings.Cut(inside, ".")
		op, rest, ok2 := strings.Cut(rest, ".")
		if !ok || !ok2 || column == "" {
			return unreadable(text)
		}
		var value string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if value, rest, ok = strings.Cut(quoted, `"`); !ok || strings.Contains(value, `\`) {
				return unreadable(text)
			}
		} else {
			end := strings.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			if value, rest = rest[:end], rest[end:]; strings.ContainsAny(value, `.:() "`) {
				return unreadable(text)
			}
		}
		condition, err := q.filter(column, op+"."+value)
		if err != nil {
			return err
		}
		any = append(any, condition)
		if inside = rest; inside != "" {
			if inside, ok = strings.CutPrefix(rest, ","); !ok || inside == "" {
				return unreadable(text)
			}
		}
	}
	q.conditions = append(q.conditions, "("+strings.Join(any, " OR ")+")")
	return nil
}

func (q *query) where() string {
	if len(q.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(q.conditions, " AND ")
}

// selected are the columns to answer.
func (q *query) selected() string {
	if len(q.columns) == 0 || slices.Equal(q.columns, []string{"*"}) {
		return "t.*"
	}
	var names []string
	for _, c := range q.columns {
		names = append(names, "t."+pgx.Identifier{c}.Sanitize())
	}
	return strings.Join(names, ", ")
}
