package supabase

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// usersOf returns what e says of users, and with them whom the rows of its
// payloads refer to: it must be there, also nobody, the user "".
func usersOf(e *event.Event) ([]sqltables.User, error) {
	rows := sqltables.UsersOf(e)
	if !slices.ContainsFunc(rows, func(u sqltables.User) bool { return u.ID == e.UserID }) {
		at := sqltables.PlaceOf(e)
		rows = append(rows, sqltables.User{ID: e.UserID, CreatedAt: at.CreatedAt, UpdatedAt: at.Stamp})
	}
	for _, u := range rows {
		if strings.Contains(u.ID, "\x00") {
			return nil, destination.Reject(errors.New("the user_id has the character U+0000, which no table can hold"))
		}
	}
	return rows, nil
}

// rowOf is u as a new row.
func rowOf(u sqltables.User) row {
	r := row{}
	for i, c := range sqltables.Of("").Users.Columns {
		r[c.Name] = u.Values()[i]
	}
	if u.ID == "" { // nobody: nothing is said of them
		return row{"user_id": r["user_id"], "created_at": r["created_at"], "provider": r["provider"]}
	}
	return r
}

// change is columns to write, each with the guard under which to.
type change struct {
	columns row
	guards  []string
}

func (c *change) put(columns row, guard string) {
	maps.Copy(c.columns, columns)
	c.guards = append(c.guards, guard)
}

// changesOf are what u changes of a row that is there, as far as it is newer
// than stored: per column, since each keeps what the newest event said that
// spoke of it at all. Stored nil is believed to be older in everything.
func changesOf(u sqltables.User, stored row) change {
	c := change{columns: row{}}
	older := func(column, mark string) bool { return stored[column] == nil || *stored[column] < mark }
	if older("updated_at", u.UpdatedAt) {
		c.put(row{"updated_at": &u.UpdatedAt}, guard("updated_at", "lt", u.UpdatedAt))
	}
	values := rowOf(u)
	for column, mark := range sqltables.Guards() {
		if at := values[mark]; at != nil && older(mark, *at) {
			c.put(row{column: values[column], mark: at}, guard(mark, "lt", *at))
		}
	}
	if stored != nil && later(stored["created_at"], u.CreatedAt) {
		c.put(row{"created_at": &u.CreatedAt}, guard("created_at", "gt", u.CreatedAt))
	}
	return c
}

// later tells whether a time as PostgreSQL writes it is later than ours, or
// missing.
func later(stored *string, ours string) bool {
	if stored == nil {
		return true
	}
	a, ok := event.ReadTime(*stored) // without an offset in a column without a zone
	b, err := time.Parse(sqltables.Moment, ours)
	return ok && err == nil && a.After(b)
}

// rounds is how often an attempt reads the row of a user that others change
// meanwhile.
const rounds = 5

// writeUser brings the row of u up to date. PostgREST's upsert has no condition,
// so that a change has its guards in the filter; of a user who is known, and
// nearly always the event is the newest, it is one request.
func (s *supabase) writeUser(ctx context.Context, u sqltables.User) (destination.Receipt, error) {
	if u.ID == "" {
		n, a, err := s.insert(ctx, s.tables.users, []row{rowOf(u)})
		if err == nil && n == 0 {
			_, a, err = s.patch(ctx, s.tables.users, u.ID, []string{guard("created_at", "gt", u.CreatedAt)}, row{"created_at": &u.CreatedAt})
		}
		return a.receipt, err
	}
	columns := slices.Collect(func(yield func(string) bool) {
		for _, mark := range sqltables.Guards() {
			if !yield(mark) {
				return
			}
		}
	})
	columns = append(columns, "updated_at", "created_at")
	var a answer
	for round := range rounds {
		var stored row
		var err error
		if round > 0 {
			if stored, a, err = s.find(ctx, s.tables.users, u.ID, columns...); err != nil {
				return a.receipt, err
			}
		}
		if round == 0 || stored != nil {
			c := changesOf(u, stored)
			if len(c.columns) == 0 {
				return a.receipt, nil
			}
			n, a, err := s.patch(ctx, s.tables.users, u.ID, c.guards, c.columns)
			if err != nil || n > 0 {
				return a.receipt, err
			}
		}
		if stored == nil {
			n, a, err := s.insert(ctx, s.tables.users, []row{rowOf(u)})
			if err != nil || n > 0 {
				return a.receipt, err
			}
		}
	}
	return a.receipt, fmt.Errorf("write %s: others changed the row of the user each of %d times that it was read, or a policy of row level security or a trigger keeps it as it is", s.tables.users.bare(), rounds)
}
