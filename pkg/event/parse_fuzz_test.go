package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// FuzzParse compares Parse with encoding/json: what is one object, which keys
// stand twice, what the texts say.
func FuzzParse(f *testing.F) {
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range []string{
		`{"type":"x","user":{"user_id":"\ud83d\ude00\ud800"},"version":-1.5e+3,"new_user":null}`,
		`{"\u0074ype":"x","type":"y"}`, `{"old_user":{"user_id":"a","user_id":"b"},"type":"é"}`,
		`{"a":[[[{"b":[]},{}],1],true,false,null],"type":"\n"}`, "{\"type\":\"\xff\"}", `{"type":"x"} x`, `{"a":01}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := event.Parse(body)
		var pe *event.ParseError
		if err != nil && !errors.As(err, &pe) {
			t.Fatalf("not a ParseError: %v", err)
		}
		var top map[string]json.RawMessage
		valid := json.Valid(body) && utf8.Valid(body) && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
		if invalid := pe != nil && pe.Code == event.InvalidJSON; valid == invalid {
			if valid && depth(body) > event.MaxDepth {
				return
			}
			t.Fatalf("valid %t, but %v", valid, err)
		}
		if !valid {
			return
		}
		if err := json.Unmarshal(body, &top); err != nil {
			t.Fatal(err)
		}
		twice := duplicate(t, body)
		if duplicated := pe != nil && pe.Code == event.DuplicateKey; duplicated != twice {
			t.Fatalf("twice %t, but %v", twice, err)
		}
		if twice {
			return
		}
		typ, _ := text(top["type"])
		sound := typ != "" && len(typ) <= event.MaxType && !strings.ContainsFunc(typ, unicode.IsControl)
		if missing := pe != nil && pe.Code == event.MissingType; missing == sound {
			t.Fatalf("type %q, but %v", typ, err)
		}
		if !sound {
			return
		}
		want := event.Envelope{Type: typ, Version: version(top["version"]), UserID: userID(t, top)}
		want.Versioned = want.Version != ""
		if env != want {
			t.Fatalf("%+v, want %+v", env, want)
		}
	})
}

func text(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

func version(raw json.RawMessage) string {
	if s, ok := text(raw); ok {
		return s
	}
	if len(raw) == 0 || strings.IndexByte("{[n", raw[0]) >= 0 {
		return ""
	}
	return string(raw)
}

func userID(t *testing.T, top map[string]json.RawMessage) string {
	for _, key := range []string{"user", "new_user", "old_user"} {
		var u map[string]json.RawMessage
		if raw := top[key]; len(raw) == 0 || raw[0] != '{' {
			continue
		} else if err := json.Unmarshal(raw, &u); err != nil {
			t.Fatal(err)
		}
		if id, _ := text(u["user_id"]); id != "" {
			return id
		}
	}
	return ""
}

// duplicate walks the tokens of the top level, as encoding/json tells them.
func duplicate(t *testing.T, body []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint(key)
		switch name {
		case "type", "user", "old_user", "new_user", "version", "data":
			if seen[name] {
				return true
			}
			seen[name] = true
		}
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			t.Fatal(err)
		}
	}
	return false
}

func depth(body []byte) (deepest int) {
	dec := json.NewDecoder(bytes.NewReader(body))
	for n := 0; ; {
		tok, err := dec.Token()
		if err != nil {
			return deepest
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			n++
			deepest = max(deepest, n)
		case json.Delim('}'), json.Delim(']'):
			n--
		}
	}
}
