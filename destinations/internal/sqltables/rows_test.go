package sqltables

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// made is the nth event of a type, with other members of its body.
func made(tb testing.TB, n int, typ, members string) *event.Event {
	tb.Helper()
	body := `{"type":"` + typ + `"`
	if members != "" {
		body += "," + members
	}
	return destinationtest.Delivery(tb, n, []byte(body+"}")).Event
}

// rowsOf are the rows of events, each of whose payloads has a link.
func rowsOf(tb testing.TB, events ...*event.Event) *Rows {
	tb.Helper()
	c := event.DefaultCatalogue()
	var parts []*part
	for _, e := range events {
		f, err := frameOf(e, c)
		if err != nil {
			tb.Fatal(err)
		}
		p := &part{frame: f}
		for payload := range c.Payloads(e) {
			p.rows = append(p.rows, f.payload(payload, "https://"+payload.ID))
		}
		parts = append(parts, p)
	}
	return gather(parts)
}

func TestRowsOfUsers(t *testing.T) {
	type want struct{ id, reference, scopes, provider, state string }
	const user = `"user":{"user_id":"u","reference_id":"r","scopes":"A,B","provider":"GARMIN"}`
	for _, c := range []struct {
		name, typ, members string
		want               []want
	}{
		{"auth", "auth", `"status":"success",` + user, []want{{"u", "r", "A,B", "GARMIN", "active"}}},
		{"auth that failed", "auth", `"status":"error",` + user, []want{{"u", "r", "A,B", "GARMIN", "auth_error"}}},
		{"deauth", "deauth", user, []want{{"u", "r", "A,B", "GARMIN", "deauth"}}},
		{"access_revoked", "access_revoked", user, []want{{"u", "r", "A,B", "GARMIN", "access_revoked"}}},
		{"connection_error", "connection_error", user, []want{{"u", "r", "A,B", "GARMIN", "connection_error"}}},
		{"data", "sleep", user + `,"data":[{}]`, []want{{"u", "r", "A,B", "GARMIN", "active?"}}},
		{"another type", "rate_limit_hit", user, []want{{"u", "r", "A,B", "GARMIN", "active?"}}},
		{"nulls", "auth", `"user":{"user_id":"u","reference_id":null,"scopes":null,"provider":null}`, []want{{"u", "NULL", "NULL", "", "active"}}},
		{"no user", "healthcheck", ``, nil},
		{"an empty user", "auth", `"user":{}`, nil},
		{"reauth", "user_reauth", `"old_user":{"user_id":"a","provider":"P"},"new_user":{"user_id":"b","provider":"P"}`,
			[]want{{"a", "NULL", "NULL", "P", "user_reauth"}, {"b", "NULL", "NULL", "P", "active"}}},
		{"reauth of one", "user_reauth", `"old_user":{"user_id":"a"},"new_user":{"user_id":"a"}`, []want{{"a", "NULL", "NULL", "", "active"}}},
		{"reauth without a new one", "user_reauth", `"old_user":{"user_id":"a"}`, []want{{"a", "NULL", "NULL", "", "user_reauth"}}},
		{"reauth in the common form", "user_reauth", `"user":{"user_id":"a"}`, []want{{"a", "NULL", "NULL", "", "active?"}}},
		{"zero characters", "auth", `"user":{"user_id":"u","reference_id":"a\u0000b","scopes":"\u0000","provider":"\u0000"}`, []want{{"u", "a\uFFFDb", "\uFFFD", "\uFFFD", "active"}}},
		{"36 characters", "auth", `"user":{"user_id":"` + strings.Repeat("é", 36) + `"}`, []want{{strings.Repeat("é", 36), "NULL", "NULL", "", "active"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := made(t, 1, c.typ, c.members)
			stamp := "2026-07-01T09:12:34.123456Z " + e.ID.String()
			var got []want
			for _, u := range rowsOf(t, e).Users {
				v := map[string]string{}
				for i, value := range u.Values() {
					v[Of("terra").Users.Columns[i].Name] = "NULL"
					if value != nil {
						v[Of("terra").Users.Columns[i].Name] = *value
					}
				}
				if v["state_at"] == "NULL" {
					v["state"] += "?"
				}
				if v["created_at"] != stamp[:27] || v["updated_at"] != stamp {
					t.Errorf("created %s, updated %s", v["created_at"], v["updated_at"])
				}
				for column, mark := range Guards() {
					said := v[column] != "NULL" && v[column] != "" && !strings.HasSuffix(v[column], "?")
					if said != (v[mark] == stamp) || !said && v[mark] != "NULL" {
						t.Errorf("%s is %q, %s is %q", column, v[column], mark, v[mark])
					}
				}
				got = append(got, want{v["user_id"], v["reference_id"], v["granted_scopes"], v["provider"], v["state"]})
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestUsersThatNoTableCanHoldAreRejected(t *testing.T) {
	for _, members := range []string{
		`"user":{"user_id":"` + strings.Repeat("x", 37) + `"}`,
		`"user":{"user_id":"a\u0000"}`,
		`"old_user":{"user_id":"` + strings.Repeat("x", 37) + `"},"new_user":{"user_id":"b"}`,
		`"old_user":{"user_id":"a"},"new_user":{"user_id":"\u0000"}`,
	} {
		_, err := frameOf(made(t, 1, "user_reauth", members), event.DefaultCatalogue())
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Rejected || !strings.Contains(err.Error(), "user_id") {
			t.Errorf("%s: %v", members, err)
		}
	}
}

func TestRowsOfPayloads(t *testing.T) {
	const user = `"user":{"user_id":"u"}`
	for _, c := range []struct {
		name, typ, members string
		data, other        []string // user, type, start, end of each row
	}{
		{"one item", "sleep", user + `,"data":[{"metadata":{"start_time":"2026-07-01T00:00:00+01:00","end_time":"x\u0000"}}]`, []string{"u|sleep|2026-07-01T00:00:00+01:00|x\uFFFD"}, nil},
		{"two items", "daily", user + `,"data":[{"metadata":{"start_time":"a"}},{"metadata":{"start_time":"b"}}]`, []string{"u|daily|a|NULL", "u|daily|b|NULL"}, nil},
		{"no item", "daily", user + `,"data":[]`, []string{"u|daily|NULL|NULL"}, nil},
		{"data that is none", "daily", user + `,"data":"none"`, []string{"u|daily|NULL|NULL"}, nil},
		{"no user", "lab_report.completed", `"data":{}`, []string{"|lab_report.completed|NULL|NULL"}, nil},
		{"athlete", "athlete", user + `,"athlete":{}`, []string{"u|athlete|NULL|NULL"}, nil},
		{"not data", "auth", user, nil, []string{"u|NULL|auth"}},
		{"not data and no user", "healthcheck", ``, nil, []string{"|NULL|healthcheck"}},
		{"an unknown type with data", "steps", `"data":[{},{}]`, nil, []string{"|NULL|steps"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := made(t, 1, c.typ, c.members)
			rows := rowsOf(t, e)
			show := func(rows []Payload, table Table, values func(Payload) []*string) (all []string) {
				for i, r := range rows {
					v := map[string]string{}
					for i, value := range values(r) {
						v[table.Columns[i].Name] = "NULL"
						if value != nil {
							v[table.Columns[i].Name] = *value
						}
					}
					id := e.ID.String()
					if len(rows) > 1 {
						id += fmt.Sprintf("-%d", i)
					}
					if v["payload_id"] != id || v["payload_url"] != "https://"+id || v["created_at"] != "2026-07-01T09:12:34.123456Z" {
						t.Errorf("row %d: %v", i, v)
					}
					line := v["user_id"] + "|" + v["data_type"]
					for _, name := range []string{"payload_type", "start_time", "end_time"} {
						if value, ok := v[name]; ok {
							line += "|" + value
						}
					}
					all = append(all, line)
				}
				return all
			}
			tables := Of("terra")
			if got := show(rows.Data, tables.Data, Payload.DataValues); !reflect.DeepEqual(got, c.data) {
				t.Errorf("data: %q, want %q", got, c.data)
			}
			if got := show(rows.Other, tables.Other, Payload.OtherValues); !reflect.DeepEqual(got, c.other) {
				t.Errorf("other: %q, want %q", got, c.other)
			}
		})
	}
}

func TestTimesAreOfOneWidthInUTC(t *testing.T) {
	for at, want := range map[string]string{
		"2026-07-01T09:12:33Z":             "2026-07-01T09:12:33.000000Z",
		"2026-07-01T00:12:33.891+01:00":    "2026-06-30T23:12:33.891000Z",
		"2026-07-01T09:12:33.123456-11:00": "2026-07-01T20:12:33.123456Z",
	} {
		e := made(t, 1, "auth", "")
		e.Ordering, _ = time.Parse(time.RFC3339Nano, at)
		if got := PlaceOf(e).CreatedAt; got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

// TestMergingIsAnyOrderAndAnyGrouping: each of five events that disagree about
// everything, in every order and cut in two batches anywhere, ends in one row.
func TestMergingIsAnyOrderAndAnyGrouping(t *testing.T) {
	for _, events := range sqltablestest.Stories(t) {
		want := rowsOf(t, events...).Users
		sqltablestest.Permute(len(events), func(order []int) {
			for cut := range len(order) + 1 {
				var rows []User
				for _, part := range [][]int{order[:cut], order[cut:]} {
					var some []*event.Event
					for _, i := range part {
						some = append(some, events[i])
					}
					rows = mergeUsers(append(rows, rowsOf(t, some...).Users...))
				}
				if !reflect.DeepEqual(rows, want) {
					t.Fatalf("in the order %v, cut at %d: %+v, want %+v", order, cut, rows, want)
				}
			}
		})
	}
}

func TestTheNewestThatSpeaksOfAColumnWins(t *testing.T) {
	row := rowsOf(t, sqltablestest.Stories(t)[0]...).Users[0]
	got := []string{row.Reference.Value, row.Scopes.Value, row.Provider.Value, row.State.Value, row.CreatedAt}
	if want := []string{"r3", "s2", "P4", "auth_error", "2026-07-01T09:12:34.123456Z"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestARepeatInABatchIsOneRow(t *testing.T) {
	e := made(t, 1, "auth", `"user":{"user_id":"u"}`)
	if rows := rowsOf(t, e, made(t, 2, "auth", ""), e); len(rows.Other) != 2 || len(rows.Users) != 1 {
		t.Errorf("%+v", rows)
	}
}

func TestExplain(t *testing.T) {
	x, err := Explain(made(t, 1, "sleep", `"user":{"user_id":"u"},"data":[{},{}]`), event.DefaultCatalogue(), Of("terra"))
	if err != nil || strings.Count(x.Body, "\n") != 3 || !strings.Contains(x.Body, `terra_users {`) || !strings.Contains(x.Body, `"payload_url":"(a link to payload `) {
		t.Errorf("%v %+v", err, x)
	}
	x, err = Explain(made(t, 1, "sleep", `"data":[`+strings.Repeat("{},", 500)+`{}]`), event.DefaultCatalogue(), Of("terra"))
	if err != nil || strings.Count(x.Body, "\n") != MaxExplained+1 || !strings.HasSuffix(x.Body, "...\n") {
		t.Errorf("%v, %d lines", err, strings.Count(x.Body, "\n"))
	}
}
