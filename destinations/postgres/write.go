package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// maxRows is how many rows go in one statement: the server keeps them all in
// memory, and so do we.
const maxRows = 1000

// statements are the SQL of one destination. Each takes one array of text for
// each column, however many rows there are, and changes nothing when it is
// repeated but the links.
type statements struct{ users, data, other string }

// limit bounds what the server does for a transaction, so that one whose client
// is gone without a word does not keep its locks.
const limit = "SELECT set_config('statement_timeout', $1, true)"

func statementsOf(t sqltables.Tables, schema string) statements {
	return statements{users: upsertUsers(qualified(schema, t.Users.Name), t.Users),
		data: upsertPayloads(qualified(schema, t.Data.Name), t.Data), other: upsertPayloads(qualified(schema, t.Other.Name), t.Other)}
}

// qualified quotes a name, with the schema if there is one.
func qualified(schema, name string) string {
	if schema == "" {
		return pgx.Identifier{name}.Sanitize()
	}
	return pgx.Identifier{schema, name}.Sanitize()
}

func insert(table string, t sqltables.Table) string {
	arrays := make([]string, len(t.Columns))
	for i := range t.Columns {
		arrays[i] = "$" + strconv.Itoa(i+1) + "::text[]"
	}
	return fmt.Sprintf("INSERT INTO %s AS t (%s) SELECT * FROM unnest(%s) ON CONFLICT (%s) DO UPDATE SET ",
		table, strings.Join(t.Names(), ", "), strings.Join(arrays, ", "), t.Key().Name)
}

// anotherKey is what a statement fails with where a row would have another key than
// the one that was sent.
const anotherKey = "fantail: the key is changed"

// keeping has an upsert fail where a row that it has written has a key that was not
// sent, since a trigger has changed it or the column's type has (character takes
// blanks away): it may be the row of another. Then the transaction changes nothing.
func keeping(upsert string, t sqltables.Table) string {
	return fmt.Sprintf(`%s RETURNING (CASE WHEN t.%s::text COLLATE "C" = ANY($1::text[]) THEN '0' ELSE '%s' END)::int`, upsert, t.Key().Name, anotherKey)
}

func upsertPayloads(table string, t sqltables.Table) string {
	return keeping(insert(table, t)+"payload_url = excluded.payload_url", t)
}

// upsertUsers lets each column keep what the newest event said that spoke of it.
// Marks compare byte for byte, whatever the database's collation.
func upsertUsers(table string, t sqltables.Table) string {
	sets := []string{
		`created_at = LEAST(t.created_at COLLATE "C", excluded.created_at)`,
		`updated_at = GREATEST(t.updated_at COLLATE "C", excluded.updated_at)`,
	}
	for column, mark := range sqltables.Guards() {
		sets = append(sets,
			fmt.Sprintf(`%[1]s = CASE WHEN excluded.%[2]s > COALESCE(t.%[2]s, '') COLLATE "C" THEN excluded.%[1]s ELSE t.%[1]s END`, column, mark),
			fmt.Sprintf(`%[1]s = GREATEST(t.%[1]s COLLATE "C", excluded.%[1]s)`, mark))
	}
	// Where a key takes different users for one, the other's row stays as it is.
	return keeping(insert(table, t)+strings.Join(sets, ", ")+` WHERE t.user_id::text COLLATE "C" = excluded.user_id::text`, t)
}

// store writes rows as one transaction in one round trip: what is sent before a
// sync is one, without a word. A row that the server has not written is an error,
// though by then the others are: to write them again changes nothing.
func (s statements) store(ctx context.Context, c *pgconn.PgConn, rows *sqltables.Rows) error {
	timeout := "0"
	if deadline, ok := ctx.Deadline(); ok {
		timeout = strconv.FormatInt(max(time.Until(deadline).Milliseconds(), 1), 10)
	}
	var b pgconn.Batch
	b.ExecParams(limit, [][]byte{[]byte(timeout)}, []uint32{textOID}, nil, nil)
	sent := []sent{{0, 1}}
	sent = append(sent, add(&b, 0, s.users, rows.Users, sqltables.User.Values)...)
	sent = append(sent, add(&b, 1, s.data, rows.Data, sqltables.Payload.DataValues)...)
	sent = append(sent, add(&b, 2, s.other, rows.Other, sqltables.Payload.OtherValues)...)
	answers, missing, n := c.ExecBatch(ctx, &b), &unwritten{}, 0
	for ; n < len(sent) && answers.NextResult(); n++ {
		tag, err := answers.ResultReader().Close()
		if lacks := sent[n].rows - int(tag.RowsAffected()); err == nil && lacks > 0 {
			missing.table, missing.rows = sent[n].table, missing.rows+lacks
		}
	}
	err := answers.Close() // the first of all errors
	switch {
	case err != nil:
		return err
	case n < len(sent):
		return errors.New("the server has no result for a statement")
	case missing.rows > 0:
		return missing
	}
	return nil
}

// sent is how many rows a statement has for a table.
type sent struct{ table, rows int }

// unwritten says that the server has taken rows and not written them, such as for
// a trigger that returns NULL.
type unwritten struct{ table, rows int } // the table's place in Tables.All

func (u *unwritten) Error() string { return fmt.Sprintf("the server has not written %d rows", u.rows) }

// textOID is PostgreSQL's number for text.
const textOID = 25

// add adds the statements for rows. Nothing is prepared: a pooler may give
// the next transaction to another server.
func add[R any](b *pgconn.Batch, table int, sql string, rows []R, values func(R) []*string) (all []sent) {
	for len(rows) > 0 {
		n := min(len(rows), maxRows)
		b.ExecParams(sql, arrays(rows[:n], values), nil, nil, nil)
		all = append(all, sent{table, n})
		rows = rows[n:]
	}
	return all
}

// arrays returns the columns of rows as PostgreSQL writes arrays.
func arrays[R any](rows []R, values func(R) []*string) [][]byte {
	var columns [][]byte
	for _, r := range rows {
		for i, v := range values(r) {
			if i == len(columns) {
				columns = append(columns, []byte{'{'})
			}
			columns[i] = append(element(columns[i], v), ',')
		}
	}
	for i, c := range columns {
		c[len(c)-1] = '}'
		columns[i] = c
	}
	return columns
}

func element(to []byte, v *string) []byte {
	if v == nil {
		return append(to, "NULL"...)
	}
	to = append(to, '"')
	rest := *v
	for {
		i := strings.IndexAny(rest, `"\\`)
		if i < 0 {
			return append(append(to, rest...), '"')
		}
		to = append(append(to, rest[:i]...), '\\', rest[i])
		rest = rest[i+1:]
	}
}
