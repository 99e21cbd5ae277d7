package supabase

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

func TestMembersAreFoundInALongDocument(t *testing.T) {
	filler := `"x":{"a":[1,2,{"b":"}]\"{","definitions":{"t":1}}],"c":-1.5e3,"d":null},`
	doc := "{ " + strings.Repeat(filler, 20000) + `"definitions" : {` + filler + ` "t" : {"a":"\"}"}, "u": [1, {"v": 2}], "n":7 ,"w":true}, "z": [` + strings.Repeat("1,", 5) + "1]}"
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(doc), "byte by byte": iotest.OneByteReader(strings.NewReader(doc[len(filler)*19990+2:])), "halves": iotest.HalfReader(strings.NewReader(doc))} {
		if name == "byte by byte" {
			r = iotest.OneByteReader(strings.NewReader("{" + doc[len(filler)*19999+2:]))
		}
		found, err := definitions(r, []string{"t", "u", "n", "w", "none"})
		if err != nil || string(found["t"]) != `{"a":"\"}"}` || string(found["u"]) != `[1,{"v":2}]` || string(found["n"]) != "7" || string(found["w"]) != "true" || len(found) != 4 {
			t.Errorf("%s: %q, %v", name, found, err)
		}
	}
}

func TestMembersOfWhatIsNone(t *testing.T) {
	for text, fails := range map[string]bool{
		"": true, "[]": true, "<html>": true, `{"a"}`: true, `{"definitions":[]}`: true, `{"definitions":{"t":{`: true, `{"definitions":{"t":"`: true, `{"a":"\`: true, `{1:2}`: true,
		"{}": false, `{"a":{}}`: false, ` {"definitions":{}} `: false,
	} {
		if found, err := definitions(strings.NewReader(text), []string{"t"}); (err != nil) != fails || !fails && len(found) != 0 {
			t.Errorf("%s: %q, %v", text, found, err)
		}
	}
}

// A definition without end is not kept.
func TestMembersAreCut(t *testing.T) {
	found, err := definitions(strings.NewReader(`{"definitions":{"t":"`+strings.Repeat("x", 1<<20)+`"}}`), []string{"t"})
	if err != nil || len(found["t"]) != parsing.MaxAnswer {
		t.Errorf("%d bytes, %v", len(found["t"]), err)
	}
}

func FuzzMembers(f *testing.F) {
	f.Add(`{"a":1,"definitions":{"t":{"b":[]}}}`)
	f.Add(`{"definitions":{"t":"\u0022"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		found, _ := definitions(strings.NewReader(text), []string{"t"})
		if len(found["t"]) > len(text) {
			t.Errorf("%q of %q", found, text)
		}
	})
}

// describes is a project that describes itself in one way, refuses each value, and
// counts how often it was asked what it is.
type describes struct {
	answers
	asked atomic.Int64
}

func (d *describes) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/rest/v1/" {
		d.asked.Add(1)
		return d.answers.RoundTrip(r)
	}
	return answers{400, nil, rest("22P02")}.RoundTrip(r)
}

// Whatever the description is, an event is to blame only where the columns are
// known to be right, and a storm of refusals asks once.
func TestWhoIsToBlame(t *testing.T) {
	all := tablesOf("terra", "public")
	right := func(change func(name string, c column) string) string {
		var tables []string
		for _, one := range all.all() {
			var columns []string
			for _, c := range one.columns {
				format := map[string]string{"TEXT": "text", "TIMESTAMPTZ": "timestamp with time zone"}[c.kind]
				text := `"` + c.name + `":{"format":"` + format + `"`
				if c.key {
					text += `,"description":"Note:\nThis is a Primary Key.<pk/>"`
				}
				if own := change(one.bare()+"."+c.name, c); own != "" {
					text = own
				}
				columns = append(columns, text+"}")
			}
			tables = append(tables, `"`+one.bare()+`":{"required":["user_id"],"properties":{`+strings.Join(columns, ",")+"}}")
		}
		return `{"definitions":{` + strings.Join(tables, ",") + "}}"
	}
	for name, c := range map[string]struct {
		body    string
		status  int
		columns bool // are in the way, or may be
	}{
		"all right": {right(func(string, column) string { return "" }), 200, false},
		"one is wrong": {right(func(name string, _ column) string {
			return map[string]string{"terra_users.state": `"state":{"format":"uuid"`}[name]
		}), 200, true},
		"a limit": {right(func(name string, _ column) string {
			return map[string]string{"terra_users.provider": `"provider":{"format":"character varying","maxLength":200`}[name]
		}), 200, true},
		"turned off":  {rest("PGRST126"), 404, true},
		"no JSON":     {"<html>", 200, true},
		"cut":         {`{"definitions":{"terra_users":{"properties":{`, 200, true},
		"not a table": {`{"definitions":{"terra_users":7}}`, 200, true},
	} {
		d := &describes{answers: answers{c.status, nil, c.body}}
		s := over(t, d)
		for range 3 {
			_, _, err := s.insert(t.Context(), s.tables.users, []row{{}})
			says := "a trigger, a default or an expression of yours fails"
			if c.columns {
				says = "ALTER TABLE public.terra_users"
			}
			wantClass(t, err, misconfigured, says)
		}
		if n := d.asked.Load(); n != 1 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
	gone := errors.New("gone")
	if known := over(t, refuses{gone}).describe(t.Context()); known != nil {
		t.Errorf("%v", known)
	}
}
