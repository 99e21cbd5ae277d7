// Package sqltables is what the kinds that write SQL tables share: which rows an
// event becomes, which columns the tables have, and the order of the work.
// It knows no database.
package sqltables

import (
	"cmp"
	"slices"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Payload is a row of one of the two tables of payloads.
type Payload struct {
	ID        string // unique: event.Payload.ID
	UserID    string // "" for events without a user
	Type      string // data_type or payload_type
	CreatedAt string // ordering time
	URL       string
	Start     string // of data alone; "" where there is none
	End       string
}

// Rows are what one or several events become, in one transaction. No two users
// and no two payloads of a table have one id, and all are sorted by it.
type Rows struct {
	Users       []User
	Data, Other []Payload
}

// frame is what the rows of one event have in common.
type frame struct {
	users []User
	row   Payload
	data  bool
}

// frameOf reads e. Its error is Rejected.
func frameOf(e *event.Event, c *event.Catalogue) (frame, error) {
	if err := checkUser(e.UserID); err != nil {
		return frame{}, err
	}
	f := frame{users: UsersOf(e), data: c.IsData(e.Type),
		row: Payload{UserID: e.UserID, Type: e.Type, CreatedAt: PlaceOf(e).CreatedAt}}
	for _, u := range f.users {
		if err := checkUser(u.ID); err != nil {
			return frame{}, err
		}
	}
	return f, nil
}

// payload is the row of p.
func (f frame) payload(p event.Payload, url string) Payload {
	row := f.row
	row.ID, row.URL = p.ID, Clean(url)
	if f.data {
		row.Start, row.End = written(p.Start), written(p.End)
	}
	return row
}

// maxTime is what MySQL's TEXT holds, in bytes.
const maxTime = 1<<16 - 1

// written is the text of a time, whatever it says; of one that no column could
// hold it is none, since no time may fail a delivery.
func written(time string) string {
	if time = Clean(time); len(time) > maxTime {
		return ""
	}
	return time
}

// gather makes the rows of one transaction of what several deliveries became.
func gather(parts []*part) *Rows {
	rows := &Rows{}
	for _, p := range parts {
		rows.Users = append(rows.Users, p.frame.users...)
		if p.frame.data {
			rows.Data = append(rows.Data, p.rows...)
		} else {
			rows.Other = append(rows.Other, p.rows...)
		}
	}
	rows.Users, rows.Data, rows.Other = mergeUsers(rows.Users), unique(rows.Data), unique(rows.Other)
	return rows
}

// unique sorts rows by id and keeps one of each: a replay may be under way
// together with the delivery that it repeats.
func unique(rows []Payload) []Payload {
	slices.SortStableFunc(rows, func(a, b Payload) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(rows, func(a, b Payload) bool { return a.ID == b.ID })
}
