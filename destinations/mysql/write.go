package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
)

// maxRows and maxBytes bound one statement: max_allowed_packet is 4 MiB where it
// is least.
const (
	maxRows  = 500
	maxBytes = 1 << 20
)

// statements are the SQL of one destination; VALUES is the form that MySQL 8 and
// MariaDB both know. They change nothing when repeated but the links.
type statements struct{ users, data, other statement }

// statement is an insert of any number of rows.
type statement struct{ head, row, tail string }

func statementsOf(t sqltables.Tables) statements {
	payload := "payload_url = " + ownRow("payload_id", "VALUES(payload_url)")
	return statements{insert(t.Users, updateUsers()), insert(t.Data, payload), insert(t.Other, payload)}
}

func insert(t sqltables.Table, update string) statement {
	return statement{
		head: fmt.Sprintf("INSERT INTO %s (%s) VALUES ", quoted(t.Name), strings.Join(t.Names(), ", ")),
		row:  "(" + strings.Repeat("?, ", len(t.Columns)-1) + "?)",
		tail: " ON DUPLICATE KEY UPDATE " + update,
	}
}

// ownRow is value in the row with the key of the one to insert. ON DUPLICATE KEY
// UPDATE comes to other rows as well: through any unique key of the table, also
// one that was added a moment ago, and through ours where its collation or type
// takes two keys for one. There the statement ends with error 1690, whatever the
// sql_mode is, and changes nothing. It belongs into the first assignment, which
// runs before the others.
func ownRow(key, value string) string {
	return fmt.Sprintf("IF(CAST(%[1]s AS BINARY) = CAST(VALUES(%[1]s) AS BINARY), %[2]s, ~0 + (LENGTH(VALUES(%[1]s)) + 1))", key, value)
}

// anotherRow is what ownRow ends a statement with: the number is out of range.
const anotherRow = 1690

// updateUsers lets each column keep what the newest event said that spoke of it.
// Assignments run from left to right and see each other, so that marks come last.
func updateUsers() string {
	sets := []string{"created_at = " + ownRow("user_id", "LEAST(created_at, VALUES(created_at))")}
	marks := []string{later("updated_at")}
	for column, mark := range sqltables.Guards() {
		sets = append(sets, fmt.Sprintf("%[1]s = IF(VALUES(%[2]s) > COALESCE(%[2]s, ''), VALUES(%[1]s), %[1]s)", column, mark))
		marks = append(marks, later(mark))
	}
	return strings.Join(append(sets, marks...), ", ")
}

// later keeps the later of two marks. GREATEST of NULL is NULL.
func later(mark string) string {
	return fmt.Sprintf("%[1]s = COALESCE(GREATEST(%[1]s, VALUES(%[1]s)), %[1]s, VALUES(%[1]s))", mark)
}

func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// store writes rows in one transaction.
func (s statements) store(ctx context.Context, db *sql.DB, rows *sqltables.Rows) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := exec(ctx, tx, s.users, rows.Users, sqltables.User.Values); err != nil {
		return err
	}
	if err := exec(ctx, tx, s.data, rows.Data, sqltables.Payload.DataValues); err != nil {
		return err
	}
	if err := exec(ctx, tx, s.other, rows.Other, sqltables.Payload.OtherValues); err != nil {
		return err
	}
	return tx.Commit()
}

// exec inserts rows in as many statements as they need.
func exec[R any](ctx context.Context, tx *sql.Tx, s statement, rows []R, values func(R) []*string) error {
	var sql strings.Builder
	var args []any
	n, size := 0, 0
	flush := func() error {
		sql.WriteString(s.tail)
		_, err := tx.ExecContext(ctx, sql.String(), args...)
		sql.Reset()
		args, n, size = args[:0], 0, 0
		return err
	}
	for _, r := range rows {
		row := values(r)
		bytes := 0
		for _, v := range row {
			if v != nil {
				bytes += len(*v)
			}
		}
		if n == maxRows || n > 0 && size+bytes > maxBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		if n == 0 {
			sql.WriteString(s.head)
		} else {
			sql.WriteString(", ")
		}
		sql.WriteString(s.row)
		for _, v := range row {
			if v == nil {
				args = append(args, nil)
			} else {
				args = append(args, *v)
			}
		}
		n, size = n+1, size+bytes
	}
	if n == 0 {
		return nil
	}
	return flush()
}
