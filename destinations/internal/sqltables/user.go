package sqltables

import (
	"cmp"
	"slices"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// User is a row of the table of users, or what some events say of one. Rows
// merge in any order and any grouping to the same row: each column keeps what
// the newest event said that spoke of it at all.
type User struct {
	ID        string
	CreatedAt string // ordering time of the oldest event
	UpdatedAt string // mark of the newest event
	Reference Said
	Scopes    Said
	Provider  Said
	State     Said // of state events; a new row of none is active
}

// Said is a value and the mark of the event that said it; without a mark nobody
// spoke of it.
type Said struct{ Value, At string }

// later returns which of the two holds. Marks are unique, so that equal ones are
// the same event.
func later(a, b Said) Said {
	if b.At > a.At {
		return b
	}
	return a
}

func merge(a, b User) User {
	return User{
		ID:        a.ID,
		CreatedAt: min(a.CreatedAt, b.CreatedAt), UpdatedAt: max(a.UpdatedAt, b.UpdatedAt),
		Reference: later(a.Reference, b.Reference), Scopes: later(a.Scopes, b.Scopes),
		Provider: later(a.Provider, b.Provider), State: later(a.State, b.State),
	}
}

// The states of a user, and which types of events move them.
const (
	active     = "active"
	authError  = "auth_error"
	userReauth = "user_reauth"
)

// UsersOf returns what e says of users: of none, one, or the old and the new one
// of a user_reauth.
func UsersOf(e *event.Event) []User {
	m := PlaceOf(e)
	row := func(u event.User, state string) User {
		said := func(value string) Said {
			if value == "" {
				return Said{}
			}
			return Said{Clean(value), m.Stamp}
		}
		return User{ID: u.ID, CreatedAt: m.CreatedAt, UpdatedAt: m.Stamp,
			Reference: said(u.Reference), Scopes: said(u.Scopes), Provider: said(u.Provider), State: said(state)}
	}
	users := e.Users()
	if e.Type == userReauth {
		var rows []User
		if users.New.ID != "" {
			rows = append(rows, row(users.New, active))
		}
		if users.Old.ID != "" && users.Old.ID != users.New.ID {
			rows = append(rows, row(users.Old, userReauth))
		}
		if rows != nil {
			return rows
		}
	}
	subject := users.Subject()
	if subject.ID == "" {
		return nil
	}
	return []User{row(subject, stateOf(e.Type, users.Succeeded))}
}

// stateOf is the state that an event moves its user to, "" if it moves none.
func stateOf(typ string, succeeded bool) string {
	switch typ {
	case "auth":
		if succeeded {
			return active
		}
		return authError
	case "deauth", "access_revoked", "connection_error":
		return typ
	}
	return ""
}

// mergeUsers sorts rows by their ids and merges those of one user. All writers
// lock users in that order, so that they do not deadlock.
func mergeUsers(rows []User) []User {
	slices.SortStableFunc(rows, func(a, b User) int { return cmp.Compare(a.ID, b.ID) })
	merged := rows[:0]
	for _, r := range rows {
		if n := len(merged); n > 0 && merged[n-1].ID == r.ID {
			merged[n-1] = merge(merged[n-1], r)
		} else {
			merged = append(merged, r)
		}
	}
	return merged
}
