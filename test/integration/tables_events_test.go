package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// tablesBody is the nth body of a load on tables. The bodies have one item or several, events of
// state, two users or none, and some say nothing of a user about whom others have said something. All
// share a dozen users.
func tablesBody(n int) []byte {
	id := func(n int) string { return fmt.Sprintf("user-%d", n%12) }
	user := func(n int) string {
		return fmt.Sprintf(`{"user_id":%q,"provider":"P%d","reference_id":"r%d","scopes":"a,%d"}`, id(n), n%3, n, n)
	}
	silent := fmt.Sprintf(`{"user_id":%q,"provider":null,"reference_id":null}`, id(n))
	item := func(i int) string {
		return fmt.Sprintf(`{"metadata":{"start_time":"2026-07-%02dT0%d:00:00.000000+02:00","end_time":"2026-07-%02dT23:00:00.000000+02:00"},"n":%d.50}`, 1+n%28, i, 1+n%28, n)
	}
	data := func(kind, user string, items ...string) []byte {
		return fmt.Appendf(nil, `{"type":%q,"version":"2022-03-16","user":%s,"data":[%s]}`, kind, user, strings.Join(items, " , "))
	}
	switch n % 9 {
	case 0:
		return data("sleep", user(n/9), item(1))
	case 1, 2:
		return data("daily", silent, item(1), item(2), item(3))
	case 3:
		return data("body", silent)
	case 4:
		return fmt.Appendf(nil, `{"type":"auth","status":"success","user":%s}`, user(n))
	case 5:
		return fmt.Appendf(nil, `{"type":"auth","status":"error","message":"denied","user":%s}`, silent)
	case 6:
		return fmt.Appendf(nil, `{"type":"deauth","user":%s,"n":%d}`, user(n), n)
	case 7:
		return fmt.Appendf(nil, `{"type":"user_reauth","status":"success","old_user":%s,"new_user":%s}`, user(n), user(n+1))
	}
	return fmt.Appendf(nil, `{"type":"healthcheck","version":"2022-03-16","status":"normal","n":%d}`, n)
}

// payloadRow is a row of one of the two tables of payloads, and what its payload
// must be.
type payloadRow struct {
	user, kind, created, start, end string // kind: data_type or payload_type
	data                            bool
	body                            []byte
}

// payloadRows adds those that the contract makes of an event, by payload_id, with
// its times as a kind writes them.
func (e *sent) payloadRows(t *testing.T, written func(string) string, into map[string]payloadRow) {
	t.Helper()
	v := e.read(t)
	bodies, items := e.items(t, v)
	for i, body := range bodies {
		row := payloadRow{user: v.person().ID, kind: v.Type, created: moment(e.ordering), body: body}
		id := e.id
		if len(bodies) > 1 {
			id = fmt.Sprintf("%s-%d", e.id, i)
		}
		if v.Data != nil {
			row.data = true
			var item struct {
				Metadata struct {
					Start string `json:"start_time"`
					End   string `json:"end_time"`
				}
			}
			_ = json.Unmarshal(items[i], &item) // there may be none
			row.start, row.end = written(item.Metadata.Start), written(item.Metadata.End)
		}
		into[id] = row
	}
}

func moment(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z") }

// userRow is a row of the table of users, each column with the time of the event
// that spoke of it.
type userRow struct {
	created, updated                    time.Time
	reference, scopes, provider, status spoken
}

// spoken is a value and the age of the event that said it, which sorts.
type spoken struct{ value, at string }

// hear keeps the value of the newest event that gives one.
func (s *spoken) hear(value, at string) {
	if value != "" && at > s.at {
		*s = spoken{value, at}
	}
}

// tellUsers adds what the contract says that an event tells of users. Of two events with the same time,
// the one with the greater id is newer.
func (e *sent) tellUsers(t *testing.T, into map[string]userRow) {
	t.Helper()
	type person struct {
		ID        string `json:"user_id"`
		Reference string `json:"reference_id"`
		Scopes    string
		Provider  string
	}
	var v struct {
		Type, Status string
		User         *person
		Old          *person `json:"old_user"`
		New          *person `json:"new_user"`
	}
	if err := json.NewDecoder(bytes.NewReader(e.body)).Decode(&v); err != nil {
		t.Fatal(err)
	}
	states := map[*person]string{v.Old: "user_reauth", v.New: "active"}
	switch {
	case v.Type == "auth" && v.Status == "success":
		states[v.User] = "active"
	case v.Type == "auth":
		states[v.User] = "auth_error"
	case v.Type == "deauth":
		states[v.User] = "deauth"
	}
	for _, p := range []*person{v.User, v.Old, v.New} {
		if p == nil {
			continue
		}
		u, known := into[p.ID]
		if !known {
			u = userRow{created: e.ordering, status: spoken{value: "active"}}
		}
		if e.ordering.Before(u.created) {
			u.created = e.ordering
		}
		if e.ordering.After(u.updated) {
			u.updated = e.ordering
		}
		age := moment(e.ordering) + " " + e.id
		u.reference.hear(p.Reference, age)
		u.scopes.hear(p.Scopes, age)
		u.provider.hear(p.Provider, age)
		u.status.hear(states[p], age)
		into[p.ID] = u
	}
}
