package event_test

import (
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestUsers(t *testing.T) {
	type (
		users = event.Users
		user  = event.User
	)
	for _, c := range []struct {
		name, body string
		want       users
	}{
		{"none", `{"type":"healthcheck","user_id":"x","provider":"P"}`, users{Succeeded: true}},
		{"all of it", `{"type":"auth","status":"success","user":{"user_id":"u","reference_id":"r","scopes":"A,B","provider":"P","user_id2":1}}`,
			users{User: user{"u", "r", "A,B", "P"}, Succeeded: true}},
		{"nulls and what is no text", `{"type":"auth","user":{"user_id":"u","reference_id":null,"scopes":["A"],"provider":7}}`, users{User: user{ID: "u"}, Succeeded: true}},
		{"escapes", `{"type":"auth","\u0075ser":{"user_id":"\u0075","reference_id":"\u0000","scopes":"\ud800"}}`, users{User: user{"u", "\x00", "\ufffd", ""}, Succeeded: true}},
		{"the last counts", `{"type":"auth","user":{"user_id":"a","provider":"P","user_id":"b","provider":null}}`, users{User: user{ID: "b"}, Succeeded: true}},
		{"old and new", `{"type":"user_reauth","status":"warning","old_user":{"user_id":"o","provider":"P"},"new_user":{"user_id":"n","reference_id":"r"}}`,
			users{Old: user{ID: "o", Provider: "P"}, New: user{ID: "n", Reference: "r"}, Succeeded: true}},
		{"an error", `{"type":"auth","status":"error","user":null}`, users{}},
		{"an error in capitals", `{"type":"auth","status":"ERROR","user":[{"user_id":"u"}]}`, users{}},
		{"failed", `{"type":"auth","status":"Failed","user":"u"}`, users{}},
		{"a status that is no text", `{"type":"auth","status":{"error":"error"}}`, users{Succeeded: true}},
		{"a status deeper", `{"type":"auth","user":{"status":"error"}}`, users{Succeeded: true}},
	} {
		if got := made(t, c.body).Users(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestUsersOfSamples(t *testing.T) {
	for name, succeeded := range map[string]bool{"auth": true, "auth_with_version": true, "auth_cancelled": false, "deauth": true, "daily": true} {
		e := sample(t, name)
		u := e.Users()
		if u.Succeeded != succeeded || u.Subject().ID != e.UserID || e.UserID != "" && u.Subject().Provider == "" {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

func TestTheSubjectIsTheUserOfTheEnvelope(t *testing.T) {
	for _, body := range []string{
		`{"type":"x","user":{"user_id":"u"},"new_user":{"user_id":"n"},"old_user":{"user_id":"o"}}`,
		`{"type":"x","user":{"user_id":""},"new_user":{"user_id":"n"},"old_user":{"user_id":"o"}}`,
		`{"type":"x","user":{"user_id":7},"new_user":{},"old_user":{"user_id":"o"}}`,
		`{"type":"x","user":{"provider":"P"}}`,
	} {
		e := made(t, body)
		if got := e.Users().Subject(); got.ID != e.UserID || got.ID == "" && got != (event.User{}) {
			t.Errorf("%s: %+v, the envelope has %q", body, got, e.UserID)
		}
	}
}
