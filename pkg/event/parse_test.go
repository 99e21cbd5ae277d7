package event_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

func TestParseReadsTheEnvelope(t *testing.T) {
	type env = event.Envelope
	tests := []struct {
		name, body string
		want       env
	}{
		{"type alone", `{"type":"x"}`, env{Type: "x"}},
		{"white space around everything", " \t\r\n{ \"type\" : \"x\" , \"a\" : [ 1 , { } , [ ] ] } \n", env{Type: "x"}},
		{"all three", `{"type":"daily","version":"2022-03-16","user":{"user_id":"u"},"data":[]}`, env{"daily", "2022-03-16", true, "u"}},
		{"any order", `{"data":[{}],"user":{"provider":"P","user_id":"u"},"version":"v","type":"daily"}`, env{"daily", "v", true, "u"}},
		{"escapes in what is kept", `{"type":"\u0061\/b\"c","version":"\u00e9","user":{"user_id":"\ud83d\ude00\n"}}`, env{`a/b"c`, "é", true, "😀\n"}},
		{"every escape", `{"type":"x","user":{"user_id":"\"\\\/\b\f\n\r\t\u0000\u20AC"}}`, env{Type: "x", UserID: "\"\\/\b\f\n\r\t\x00€"}},
		{"escaped keys", `{"\u0074ype":"x","v\u0065rsion":"v","us\u0065r":{"user\u005fid":"u"}}`, env{"x", "v", true, "u"}},
		{"lone surrogates", `{"type":"x","user":{"user_id":"\ud800|\udc00|\ud800\ud800\udc00|\ud800\u0041"}}`, env{Type: "x", UserID: "\ufffd|\ufffd|\ufffd\U00010000|\ufffdA"}},
		{"UTF-8 of every length", `{"type":"é€😀","é":"é€😀"}`, env{Type: "é€😀"}},
		{"case counts", `{"type":"x","Type":1,"TYPE":2,"User":{"user_id":"u"},"user":{"User_id":"u"}}`, env{Type: "x"}},
		{"other keys may stand twice", `{"type":"x","a":1,"a":2,"":3,"":4}`, env{Type: "x"}},
		{"keys below the top may stand twice", `{"type":"x","data":[{"type":1,"type":2,"data":3,"data":4}],"user":{"type":1,"type":2}}`, env{Type: "x"}},
		{"the last user_id counts", `{"type":"x","user":{"user_id":"a","user_id":"b"}}`, env{Type: "x", UserID: "b"}},
		{"also when it is no text", `{"type":"x","user":{"user_id":"a","user_id":null}}`, env{Type: "x"}},

		{"user is null", `{"type":"x","user":null}`, env{Type: "x"}},
		{"user is empty", `{"type":"x","user":{}}`, env{Type: "x"}},
		{"user is a text", `{"type":"x","user":"u"}`, env{Type: "x"}},
		{"user is a list", `{"type":"x","user":[{"user_id":"u"}]}`, env{Type: "x"}},
		{"user_id is null", `{"type":"x","user":{"user_id":null}}`, env{Type: "x"}},
		{"user_id is a number", `{"type":"x","user":{"user_id":7}}`, env{Type: "x"}},
		{"user_id is an object", `{"type":"x","user":{"user_id":{"user_id":"u"}}}`, env{Type: "x"}},
		{"user_id is deeper", `{"type":"x","user":{"a":{"user_id":"u"}}}`, env{Type: "x"}},
		{"user_id at the top", `{"type":"x","user_id":"u"}`, env{Type: "x"}},
		{"new_user first", `{"type":"x","old_user":{"user_id":"o"},"new_user":{"user_id":"n"}}`, env{Type: "x", UserID: "n"}},
		{"old_user alone", `{"type":"x","old_user":{"user_id":"o"}}`, env{Type: "x", UserID: "o"}},
		{"new_user without an id", `{"type":"x","old_user":{"user_id":"o"},"new_user":{"user_id":""}}`, env{Type: "x", UserID: "o"}},
		{"user before both", `{"type":"x","old_user":{"user_id":"o"},"new_user":{"user_id":"n"},"user":{"user_id":"u"}}`, env{Type: "x", UserID: "u"}},
		{"user null before both", `{"type":"x","old_user":{"user_id":"o"},"new_user":{"user_id":"n"},"user":null}`, env{Type: "x", UserID: "n"}},

		{"version is a number", `{"type":"x","version":1.50}`, env{Type: "x", Version: "1.50", Versioned: true}},
		{"version is true", `{"type":"x","version":true}`, env{Type: "x", Version: "true", Versioned: true}},
		{"version is null", `{"type":"x","version":null}`, env{Type: "x"}},
		{"version is empty", `{"type":"x","version":""}`, env{Type: "x"}},
		{"version is an object", `{"type":"x","version":{"a":1}}`, env{Type: "x"}},
		{"version is deeper", `{"type":"x","user":{"version":"v"}}`, env{Type: "x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := event.Parse([]byte(tt.body))
			if err != nil || got != tt.want {
				t.Errorf("%+v %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	invalid := map[string]string{
		"nothing":                      ``,
		"white space":                  " \n",
		"an array":                     `[{"type":"x"}]`,
		"a text":                       `"type"`,
		"null":                         `null`,
		"two objects":                  `{"type":"x"}{"type":"x"}`,
		"a comma behind":               `{"type":"x"},`,
		"NUL behind":                   "{\"type\":\"x\"}\x00",
		"a byte order mark":            "\ufeff{\"type\":\"x\"}",
		"a byte order mark in UTF-16":  "\xff\xfe{\x00",
		"form feed as space":           "{\f\"type\":\"x\"}",
		"no-break space":               "{\u00a0\"type\":\"x\"}",
		"cut in a string":              `{"type":"x`,
		"cut in an escape":             `{"type":"x\`,
		"cut in a hex escape":          `{"type":"x\u00`,
		"cut behind a key":             `{"type"`,
		"cut behind a colon":           `{"type":`,
		"cut in the list":              `{"type":"x","data":[1,`,
		"cut before the end":           `{"type":"x"`,
		"cut in a user":                `{"type":"x","user":{"user_id":"u"`,
		"no colon":                     `{"type" "x"}`,
		"no comma":                     `{"type":"x" "a":1}`,
		"comma before the end":         `{"type":"x",}`,
		"comma first":                  `{,"type":"x"}`,
		"comma in a user":              `{"type":"x","user":{"a":1,}}`,
		"comma in a list":              `{"type":"x","a":[1,]}`,
		"comma first in a list":        `{"type":"x","a":[,1]}`,
		"no comma in a list":           `{"type":"x","a":[1 2]}`,
		"the wrong end":                `{"type":"x","a":[1}}`,
		"the other wrong end":          `{"type":"x","a":{"b":1]}`,
		"a bare key":                   `{type:"x"}`,
		"single quotes":                `{'type':'x'}`,
		"a comment":                    `{"type":"x"/**/}`,
		"a bare word":                  `{"type":"x","a":nul}`,
		"a capital":                    `{"type":"x","a":True}`,
		"no number":                    `{"type":"x","a":NaN}`,
		"plus":                         `{"type":"x","a":+1}`,
		"minus alone":                  `{"type":"x","a":-}`,
		"a leading zero":               `{"type":"x","a":01}`,
		"a leading dot":                `{"type":"x","a":.5}`,
		"a dot behind":                 `{"type":"x","a":1.}`,
		"half an exponent":             `{"type":"x","a":1e}`,
		"half a signed exponent":       `{"type":"x","a":1E+}`,
		"hexadecimal":                  `{"type":"x","a":0x10}`,
		"an unknown escape":            `{"type":"x","a":"\x41"}`,
		"a bad hex escape":             `{"type":"x","a":"\u00g0"}`,
		"a control character":          "{\"type\":\"x\",\"a\":\"\x01\"}",
		"a line break in a string":     "{\"type\":\"x\",\"a\":\"\n\"}",
		"a lone UTF-8 byte":            "{\"type\":\"x\",\"a\":\"\xff\"}",
		"a cut UTF-8 rune":             "{\"type\":\"x\",\"a\":\"\xe2\x82\"}",
		"an overlong UTF-8 rune":       "{\"type\":\"x\",\"a\":\"\xc0\xaf\"}",
		"a surrogate in UTF-8":         "{\"type\":\"x\",\"a\":\"\xed\xa0\x80\"}",
		"bad UTF-8 in a key":           "{\"type\":\"x\",\"\xff\":1}",
		"bad UTF-8 outside of strings": "{\"type\":\"x\"\xff}",
		"bad JSON before a second key": `{"type":"x","type":"x","a":}`,
	}
	for name, body := range invalid {
		refused(t, name, body, event.InvalidJSON)
	}
	missing := map[string]string{
		"no type":                     `{}`,
		"type null":                   `{"type":null}`,
		"type empty":                  `{"type":""}`,
		"type a number":               `{"type":7}`,
		"type a list":                 `{"type":["x"]}`,
		"type deeper":                 `{"data":{"type":"x"}}`,
		"type with a line break":      `{"type":"a\nb"}`,
		"type with NUL":               `{"type":"a\u0000"}`,
		"type with DEL":               "{\"type\":\"a\x7f\"}",
		"type with a C1 control":      "{\"type\":\"a\u0085\"}",
		"type too long":               `{"type":"` + strings.Repeat("x", event.MaxType+1) + `"}`,
		"type too long when decoded":  `{"type":"` + strings.Repeat(`\u20ac`, event.MaxType/3+1) + `"}`,
		"type far too long":           `{"type":"` + strings.Repeat(`\u0061`, 10_000) + `"}`,
		"type too long, not in runes": `{"type":"` + strings.Repeat("é", event.MaxType/2+1) + `"}`,
	}
	for name, body := range missing {
		refused(t, name, body, event.MissingType)
	}
	for _, key := range []string{"type", "user", "old_user", "new_user", "version", "data"} {
		for _, second := range []string{key, strings.Replace(key, "e", `\u0065`, 1), strings.Replace(key, "d", `\u0064`, 1)} {
			refused(t, key+" and "+second, `{"type":"x","`+key+`":{"a":1},"b":2,"`+second+`":null}`, event.DuplicateKey)
			refused(t, second+" and "+key, `{"`+second+`":null,"`+key+`":"y"}`, event.DuplicateKey)
		}
	}
}

func refused(t *testing.T, name, body, code string) {
	t.Helper()
	got, err := event.Parse([]byte(body))
	var pe *event.ParseError
	if !errors.As(err, &pe) || pe.Code != code || pe.Message == "" || got != (event.Envelope{}) {
		t.Errorf("%s: %+v %#v, want %s", name, got, err, code)
	}
}

func TestParseAcceptsTheLongestType(t *testing.T) {
	for _, typ := range []string{strings.Repeat("x", event.MaxType), strings.Repeat("é", event.MaxType/2)} {
		if got, err := event.Parse([]byte(`{"type":"` + typ + `"}`)); err != nil || got.Type != typ {
			t.Error(err)
		}
	}
	escaped := `{"type":"` + strings.Repeat(`\u0061`, event.MaxType) + `"}`
	if got, err := event.Parse([]byte(escaped)); err != nil || len(got.Type) != event.MaxType {
		t.Error(err)
	}
}

func TestParseBoundsDepthAndNotItsStack(t *testing.T) {
	const limit = event.MaxDepth - 1 // the body is one
	for _, shape := range []struct {
		open, end string
		levels    int
	}{{"[", "]", 1}, {`{"a":`, "}", 1}, {`[0,{"a":[],"b":`, "}]", 2}} {
		nest := func(n int) string {
			return `{"type":"x","a":` + strings.Repeat(shape.open, n) + "1" + strings.Repeat(shape.end, n) + `}`
		}
		n := limit / shape.levels
		if _, err := event.Parse([]byte(nest(n))); err != nil {
			t.Errorf("%d times %s: %v", n, shape.open, err)
		}
		refused(t, shape.open, nest(n+1), event.InvalidJSON)
	}
	refused(t, "in a user", `{"type":"x","user":{"a":`+strings.Repeat("[", limit)+strings.Repeat("]", limit)+`}}`, event.InvalidJSON)
	refused(t, "in a user_id", `{"type":"x","user":{"user_id":`+strings.Repeat("[", limit)+strings.Repeat("]", limit)+`}}`, event.InvalidJSON)
	refused(t, "never closed", `{"a":`+strings.Repeat("[", 32<<20), event.InvalidJSON)
}

func TestParseKeepsNoPartOfTheBody(t *testing.T) {
	body := []byte(`{"type":"daily","version":"v","user":{"user_id":"u"}}`)
	env, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = '#'
	}
	if (env != event.Envelope{Type: "daily", Version: "v", Versioned: true, UserID: "u"}) {
		t.Errorf("%+v", env)
	}
}

func TestParseAllocatesOnlyWhatItKeeps(t *testing.T) {
	body := []byte(`{"\u0074ype":"daily","a":"\u00e9","b":{"c":[1,2,"\n"]},"version":"v1","user":{"user_id":"u\n1","x":null}}`)
	before := bytes.Clone(body)
	got := testing.AllocsPerRun(100, func() {
		if _, err := event.Parse(body); err != nil {
			t.Fatal(err)
		}
	})
	if got > 4 { // three texts, one of them decoded through a buffer
		t.Errorf("%v allocations", got)
	}
	if !bytes.Equal(body, before) {
		t.Error("the body was changed")
	}
}

func TestParseReadsEverySample(t *testing.T) {
	names := samples.Names()
	if len(names) < 25 {
		t.Fatalf("%d samples", len(names))
	}
	withoutUser := map[string]bool{"healthcheck": true, "auth_cancelled": true, "lab_report.completed": true}
	special := map[string]string{"auth_with_version": "auth", "daily_empty_data": "daily", "daily_two_items": "daily", "deauth_golden_vector": "deauth"}
	for _, name := range names {
		body, err := samples.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		want := special[name]
		if want == "" {
			want = name
		}
		got, err := event.Parse(body)
		if err != nil || got.Type != want || (got.UserID == "") != withoutUser[name] {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		if got.Versioned != (got.Version == "2022-03-16") || got.Versioned != bytes.Contains(body, []byte(`"version"`)) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := samples.Read("../samples"); err == nil {
		t.Error("an unknown sample is read")
	}
}
