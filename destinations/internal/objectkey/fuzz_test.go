package objectkey

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// FuzzKeys gives every value of an event to somebody hostile: each key stays in
// the folder of its layout and is one that S3 and GCS take, and no two users
// share a key.
func FuzzKeys(f *testing.F) {
	for _, s := range []string{"", ".", "..", "/", "../..", "a", "a\x00", "\r\n", "%2e", "\xff", ".well-known", "acme-challenge", "😀", "a~b", strings.Repeat("é/", 99)} {
		f.Add("type", "v", s, "u", "s", "2026-07-01", "p", "r", "i")
		f.Add(s, s, "u", s, s, s, s, s, s)
	}
	var layouts []*Layout
	for _, text := range []string{
		DefaultLayout,
		"{summary_id}",
		"{provider}{reference_id}/{version}{type}.{user_id}/{summary_id}_{start}.json",
		"in/{user_id}/{provider}-{reference_id}/{type}/{version}/{generated}-{summary_id}",
	} {
		l, err := Settings{Layout: text}.Compile()
		if err != nil {
			f.Fatal(err)
		}
		layouts = append(layouts, l)
	}
	f.Fuzz(func(t *testing.T, typ, version, user, other, summary, start, provider, reference, identity string) {
		if typ == "" {
			return // no event is without
		}
		for _, l := range layouts {
			e := &event.Event{Ordering: accepted, Envelope: event.Envelope{Type: typ, Version: version, Versioned: true, UserID: user}}
			n := l.Of(e)
			n.subject = func() (string, string) { return safe(provider), safe(reference) }
			p := event.Payload{ID: "id", Start: start, Summary: summary, Identity: identity}
			o := n.Object(p)
			for _, key := range o.Keys {
				if fault := unfit(key); fault != "" {
					t.Errorf("%q: %s", key, fault)
				}
				if len(l.folders) == 4 && !strings.HasPrefix(key, "in/") {
					t.Errorf("%q left its folder", key)
				}
			}
			for name, value := range o.Meta {
				if value == "" && name != MetaIdentity && name != MetaReference {
					t.Errorf("%s is empty", name)
				}
			}
			if identity != "" && o.Meta.Against(o.Meta) != Leave {
				t.Errorf("metadata that was written does not read: %v", o.Meta)
			}
			e.UserID = other
			if theirs := l.Of(e).Object(p); user != other && (theirs.Keys[len(theirs.Keys)-1] == o.Keys[len(o.Keys)-1] || identity != "" && o.Meta.Against(theirs.Meta) != Next) {
				t.Errorf("the users %q and %q share %q", user, other, theirs.Keys)
			}
		}
		if 3*len(user) <= maxValue {
			if back, err := url.PathUnescape(safe(user)); back != user || err != nil {
				t.Errorf("%q became %q, and that %q", user, safe(user), back)
			}
		}
	})
}

// unfit says what S3, GCS or a file system behind them would not take.
func unfit(key string) string {
	switch {
	case key == "" || len(key) > MaxKey:
		return fmt.Sprintf("%d bytes", len(key))
	case !utf8.ValidString(key):
		return "not UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "control characters"
	case strings.Contains(key, `\`):
		return "a backslash"
	case path.Clean(key) != key || path.IsAbs(key) || strings.HasPrefix(key, ".."):
		return "names that are no folders"
	case strings.HasPrefix(key, ".well-known/acme-challenge"):
		return "forbidden by GCS"
	}
	return ""
}
