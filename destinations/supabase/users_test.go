package supabase

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

func tableRows(tb testing.TB, p *project.Project) map[string][]map[string]string {
	return map[string][]map[string]string{
		"users": p.Rows(tb, "terra_users", "user_id"),
		"data":  p.Rows(tb, "terra_data_payloads", "payload_id"), "misc": p.Rows(tb, "terra_misc_payloads", "payload_id"),
	}
}

func empty(tb testing.TB, p *project.Project) {
	tb.Helper()
	p.Exec(tb, "TRUNCATE terra_users, terra_data_payloads, terra_misc_payloads")
}

func TestEveryOrderEndsInTheSameRows(t *testing.T) {
	p := settled(t)
	d := opened(t, p)
	for n, story := range sqltablestest.Stories(t) {
		send(t, d, story...)
		want := tableRows(t, p)
		if n == 0 {
			u := want["users"][0]
			got := []string{u["user_id"], u["reference_id"], u["granted_scopes"], u["provider"], u["state"], u["created_at"]}
			if w := []string{"u", "r3", "s2", "P4", "auth_error", "2026-07-01T09:12:34.123456Z"}; !reflect.DeepEqual(got, w) {
				t.Errorf("the user is %q, want %q", got, w)
			}
		}
		empty(t, p)
		turn := 0
		sqltablestest.Permute(len(story), func(order []int) {
			if turn++; n > 0 && turn%8 != 0 { // one story in every order, the others in some
				return
			}
			for _, i := range order {
				send(t, d, story[i])
			}
			send(t, d, story[order[turn%5]]) // a repeat changes nothing
			if got := tableRows(t, p); !reflect.DeepEqual(got, want) {
				t.Fatalf("in the order %v: %v, want %v", order, got, want)
			}
			empty(t, p)
		})
	}
}

func TestEventsOfOneUserAtOnceEndInTheSameRows(t *testing.T) {
	p := settled(t)
	d := opened(t, p)
	for n, story := range sqltablestest.Stories(t) {
		send(t, d, story...)
		want := tableRows(t, p)
		empty(t, p)
		var all sync.WaitGroup
		for _, e := range story {
			for range 2 {
				all.Go(func() {
					for err := deliver(t, d, e); err != nil; err = deliver(t, d, e) { // as the engine would
						t.Logf("again: %v", err)
					}
				})
			}
		}
		all.Wait()
		if got := tableRows(t, p); !reflect.DeepEqual(got, want) {
			t.Errorf("story %d: %v, want %v", n, got, want)
		}
		empty(t, p)
	}
}

// Texts that neither SQL nor a URL nor a filter must read.
func TestTextsAreKept(t *testing.T) {
	p := settled(t)
	d := opened(t, p)
	for n, text := range []string{
		`'; DROP TABLE terra_users; --`, `a,b.eq.(c)"d"\e`, "is.null", "null", "a b&c=d?e#f%g+h/i:j", "😀é\u2028", "%s", "*", "eq.x",
	} {
		e := happened(t, n, fmt.Sprintf(`{"type":"auth","user":{"user_id":%q,"reference_id":%[1]q,"scopes":"a\u0000b"}}`, text))
		send(t, d, e, happened(t, n+100, fmt.Sprintf(`{"type":"daily","user":{"user_id":%q},"data":[{},{}]}`, text)))
		rows := p.Rows(t, "terra_users", "user_id")
		if len(rows) != 1 || rows[0]["user_id"] != text || rows[0]["reference_id"] != text || rows[0]["granted_scopes"] != "a\uFFFDb" {
			t.Errorf("%q: %v", text, rows)
		}
		if data := p.Rows(t, "terra_data_payloads", "payload_id"); len(data) != 2 || data[0]["user_id"] != text {
			t.Errorf("%q: %v", text, data)
		}
		empty(t, p)
	}
}

// The user that the row of a payload refers to is there, whoever else the event
// is about.
func TestTheUserOfThePayloadIsThere(t *testing.T) {
	p := settled(t)
	d := opened(t, p)
	for n, body := range []string{
		`{"type":"user_reauth","user":{"user_id":"a"},"old_user":{"user_id":"b"},"new_user":{"user_id":"c"}}`,
		`{"type":"user_reauth","old_user":{"user_id":"b"}}`,
		`{"type":"user_reauth","old_user":{"user_id":"c"},"new_user":{"user_id":"c"}}`,
		`{"type":"user_reauth"}`,
		`{"type":"daily","user":{"user_id":7},"data":[{}]}`,
		`{"type":"daily","user":null,"data":[{}]}`,
	} {
		send(t, d, happened(t, n, body))
	}
	got := map[string]string{}
	for _, u := range p.Rows(t, "terra_users", "user_id") {
		got[u["user_id"]] = u["state"]
	}
	if want := map[string]string{"": "", "a": "active", "b": "user_reauth", "c": "active"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// An older event that comes later moves the creation back, also in a column that
// keeps no zone.
func TestTheFirstEventIsTheCreation(t *testing.T) {
	for _, kind := range []string{"TIMESTAMPTZ", "TIMESTAMP", "TEXT"} {
		p := settled(t)
		p.Exec(t, "ALTER TABLE terra_users ALTER created_at TYPE "+kind)
		p.Reload(t)
		d := opened(t, p)
		first, second := happened(t, 1, `{"type":"auth","user":{"user_id":"u"}}`), happened(t, 2, `{"type":"auth","user":{"user_id":"u"}}`)
		first.Ordering = first.Ordering.Add(-time.Hour)
		send(t, d, second, first)
		if at := p.Rows(t, "terra_users", "user_id")[0]["created_at"]; !strings.HasPrefix(at, sqltables.PlaceOf(first).CreatedAt[:19]) {
			t.Errorf("%s: created at %s", kind, at)
		}
	}
}
