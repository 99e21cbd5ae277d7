package sqltables

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// TestMisfits has one column at a time that is not as our tables have it.
func TestMisfits(t *testing.T) {
	tables := Of("terra")
	text := func(name string) Existing { return Existing{Name: name, Type: "text"} }
	of := func(name string, length int) Existing {
		return Existing{Name: name, Type: "varchar", Length: length}
	}
	for name, tt := range map[string]struct {
		table Table
		Existing
		remedy Remedy
		sure   bool
		says   string // "": it fits
	}{
		"text":                     {table: tables.Data, Existing: text("payload_url")},
		"a column of others":       {table: tables.Data, Existing: Existing{Name: "mine", Holds: HoldsNumber}},
		"theirs with a default":    {table: tables.Data, Existing: Existing{Name: "mine", NotNull: true, Default: true}},
		"theirs that is generated": {table: tables.Data, Existing: Existing{Name: "mine", NotNull: true, Generated: true}},
		"theirs that must be":      {tables.Data, Existing{Name: "mine", NotNull: true}, AddDefault, true, "mine is yours"},

		"no room for links":   {tables.Data, of("payload_url", 255), Retype, true, "payload_url is varchar: it has to hold 4096"},
		"room for some links": {tables.Other, of("payload_url", 2048), Retype, false, "may have to hold 4096"},
		"room for all links":  {table: tables.Data, Existing: of("payload_url", 4096)},
		"short marks":         {tables.Users, of("updated_at", 40), Retype, true, "64 characters"},
		"short ids":           {tables.Data, of("payload_id", 36), Retype, true, "42 characters"},
		"short users":         {tables.Data, of("user_id", 20), Retype, true, "36 characters"},
		"short times":         {tables.Data, of("start_time", 19), Retype, true, "32 characters"},
		"times of seconds":    {tables.Data, of("end_time", 25), Retype, false, "32 characters"},
		"short types":         {tables.Other, of("payload_type", 10), Retype, true, "64 characters"},
		"short state":         {tables.Users, of("state", 8), Retype, true, "16 characters"},
		"their own ids":       {table: tables.Users, Existing: of("reference_id", 8)},
		"providers":           {table: tables.Users, Existing: of("provider", 50)},
		"our own widths":      {table: tables.Users, Existing: of("user_id", 36)},

		"a time":    {tables.Data, Existing{Name: "created_at", Type: "timestamptz", Holds: HoldsTime}, Retype, true, "created_at is timestamptz and holds no text"},
		"a uuid":    {tables.Users, Existing{Name: "user_id", Type: "uuid", Holds: HoldsUUID}, Retype, true, "holds no text"},
		"a number":  {tables.Users, Existing{Name: "reference_id", Type: "int", Holds: HoldsNumber}, Retype, true, "holds no text"},
		"an enum":   {tables.Users, Existing{Name: "state", Type: "enum('active')", Holds: HoldsChoice}, Retype, false, "texts of its list"},
		"jsonb":     {tables.Users, Existing{Name: "granted_scopes", Type: "jsonb", Holds: HoldsOther}, Retype, true, "holds no text"},
		"generated": {tables.Users, Existing{Name: "created_at", Generated: true, Default: true}, Ungenerate, true, "is generated"},

		"must be, and is":     {table: tables.Users, Existing: Existing{Name: "provider", NotNull: true}},
		"state is always":     {table: tables.Users, Existing: Existing{Name: "state", NotNull: true}},
		"updates are always":  {table: tables.Users, Existing: Existing{Name: "updated_at", NotNull: true}},
		"must be, and is not": {tables.Data, Existing{Name: "end_time", NotNull: true}, AllowNull, true, "takes no NULL"},
		"a default is no use": {tables.Users, Existing{Name: "reference_id", NotNull: true, Default: true}, AllowNull, true, "takes no NULL"},
		"always NULL":         {tables.Other, Existing{Name: "data_type", NotNull: true}, AllowNull, true, "takes no NULL"},
		"never NULL":          {table: tables.Data, Existing: Existing{Name: "data_type", NotNull: true}},

		"merges users":          {tables.Users, Existing{Name: "user_id", Merges: "the collation x_ci"}, Exact, true, "takes different users for one (the collation x_ci)"},
		"merges nothing":        {table: tables.Data, Existing: Existing{Name: "user_id", Merges: "x_ci"}},
		"merges no ids":         {table: tables.Data, Existing: Existing{Name: "payload_id", Merges: "x_ci"}},
		"latin1 for an event":   {tables.Users, Existing{Name: "reference_id", Charset: "latin1"}, Unicode, false, "character set latin1"},
		"latin1 for ASCII":      {table: tables.Data, Existing: Existing{Name: "payload_url", Charset: "latin1"}},
		"the worst comes first": {tables.Users, Existing{Name: "user_id", Type: "varchar(10)", Length: 10, Merges: "x_ci", Charset: "latin1"}, Retype, true, "36"},
	} {
		all := tt.table.Misfits([]Existing{text("provider"), tt.Existing})
		if tt.says == "" {
			if len(all) != 0 {
				t.Errorf("%s: %+v", name, all)
			}
			continue
		}
		if len(all) != 1 || all[0].Remedy != tt.remedy || all[0].Sure != tt.sure || !strings.HasPrefix(all[0].Text, tt.Name+" ") || !strings.Contains(all[0].Text, tt.says) ||
			all[0].Column.Name != tt.Name || all[0].Existing != tt.Existing {
			t.Errorf("%s: %+v, want %q", name, all, tt.says)
		}
	}
}

func TestAdviceNamesEachColumnAndEndsWithTheSQL(t *testing.T) {
	tables := Of("terra")
	all := append(tables.Users.Misfits([]Existing{{Name: "user_id", Type: "uuid", Holds: HoldsUUID}, {Name: "mine", NotNull: true}}),
		tables.Data.Misfits([]Existing{{Name: "payload_url", Type: "varchar(9)", Length: 9}})...)
	alter := func(m Misfit) string { return "ALTER " + m.Table }
	const want = "in terra_users user_id is uuid and holds no text, mine is yours, takes no NULL and has no default, " +
		"in terra_data_payloads payload_url is varchar(9): it has to hold 4096 characters at least: run: ALTER terra_users; ALTER terra_data_payloads"
	if got := Advice(all, alter); got != want {
		t.Errorf("%s", got)
	}
	if got := Advice(nil, alter); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

// TestNeedsAreThoseOfOurRows holds them against the rows that events become: each
// column has one, no text of ours is longer, and NULL stands where it is said.
func TestNeedsAreThoseOfOurRows(t *testing.T) {
	c, tables := event.DefaultCatalogue(), Of("terra")
	seen := map[string]bool{} // columns with NULL
	hold := func(table Table, values []*string) {
		t.Helper()
		for i, v := range values {
			column := table.Columns[i]
			n, known := needs[column.Name]
			switch {
			case !known:
				t.Errorf("nobody knows what %s holds", column.Name)
			case v == nil && (!n.null || !column.Null):
				t.Errorf("%s of %s is NULL", column.Name, table.Name)
			case v != nil && n.most > 0 && utf8.RuneCountInString(*v) > n.most:
				t.Errorf("%s of %s is %q", column.Name, table.Name, *v)
			}
			seen[table.Name+"."+column.Name] = seen[table.Name+"."+column.Name] || v == nil
		}
	}
	types := []string{"auth", "deauth", "access_revoked", "connection_error", "large_request_processing", "lab_report.completed", "health_observation"}
	for n, typ := range types {
		for k, user := range []string{`"user_id":"u"`, `"user_id":"123456789012345678901234567890123456","reference_id":"r","scopes":"s","provider":"P"`} {
			body := `{"type":"` + typ + `","status":"error","user":{` + user + `},"data":[{},{"metadata":{"start_time":"2026-07-01T09:12:33.123456+02:00","end_time":"2026-07-01T10:12:33.123456+02:00"}}]}`
			e := destinationtest.Delivery(t, 10*n+k, []byte(body)).Event
			f, err := frameOf(e, c)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range f.users {
				hold(tables.Users, u.Values())
			}
			for p := range c.Payloads(e) {
				if row := f.payload(p, "https://payloads.example"); f.data {
					hold(tables.Data, row.DataValues())
				} else {
					hold(tables.Other, row.OtherValues())
				}
			}
		}
	}
	for _, table := range tables.All() {
		for _, column := range table.Columns {
			name := table.Name + "." + column.Name
			written := seen[name]
			if want := column.Null && needs[column.Name].null; written != want {
				t.Errorf("NULL is written to %s: %t, want %t", name, written, want)
			}
		}
	}
}
