package ndjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

func readLines(in io.Reader, limit int64) (got []string, err error) {
	l := Reader{In: in, Limit: limit, Grow: func(int) error { return nil }}
	for {
		line, err := l.Next()
		if err != nil {
			return got, err
		}
		got = append(got, string(line))
	}
}

func TestLinesEndAsTheyShould(t *testing.T) {
	long := strings.Repeat("x", 300<<10)
	cut := func(s string) io.Reader {
		return io.MultiReader(strings.NewReader(s), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	for name, c := range map[string]struct {
		in    io.Reader
		limit int64
		want  []string
		err   error
	}{
		"nothing":                  {strings.NewReader(""), 10, nil, io.EOF},
		"one":                      {strings.NewReader("a\n"), 10, []string{"a"}, io.EOF},
		"no newline at the end":    {strings.NewReader("a\nb"), 10, []string{"a", "b"}, io.EOF},
		"blank lines":              {strings.NewReader("\n\na\n\n"), 10, []string{"", "", "a", ""}, io.EOF},
		"exactly the limit":        {strings.NewReader("abc\nde\n"), 7, []string{"abc", "de"}, io.EOF},
		"one beyond the limit":     {strings.NewReader("abc\ndef\n"), 7, []string{"abc"}, ErrTooMuch},
		"at the limit, no newline": {strings.NewReader("abc\ndef"), 7, []string{"abc", "def"}, io.EOF},
		"beyond, no newline":       {strings.NewReader("abc\ndefg"), 7, []string{"abc"}, ErrTooMuch},
		"endless line":             {strings.NewReader(long), 1000, nil, ErrTooMuch},
		"a long line":              {strings.NewReader("a\n" + long + "\nb\n"), 1 << 20, []string{"a", long, "b"}, io.EOF},
		"cut in a line":            {cut("a\nb"), 10, []string{"a"}, io.ErrUnexpectedEOF},
		"cut after a line":         {cut("a\nb\n"), 10, []string{"a", "b"}, io.ErrUnexpectedEOF},
	} {
		got, err := readLines(c.in, c.limit)
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("%s: got %d lines %.50q, %v; want %d, %v", name, len(got), got, err, len(c.want), c.err)
		}
	}
}

func TestLinesReadNoMoreThanAByteBeyondTheLimit(t *testing.T) {
	in := strings.NewReader(strings.Repeat("x", 1<<20))
	_, err := readLines(in, 1000)
	if !errors.Is(err, ErrTooMuch) || in.Len() < 1<<20-1001 {
		t.Errorf("%v with %d bytes read", err, 1<<20-in.Len())
	}
}

func TestLineMembers(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"all":                         {`{"dev_id":"acme","reference":"r","ordering_timestamp":1780000000123,"idempotency_key":"k","event":{"type":"a"}}`, `acme r k 1780000000123 {"type":"a"}`},
		"in any order and spaced":     {" { \"event\" : {\"a\": [1 , \"}\\\"{\"] } , \"dev_id\" : \"acme\" } \r", `acme   0 {"a": [1 , "}\"{"] }`},
		"nulls":                       {`{"dev_id":null,"reference":null,"ordering_timestamp":null,"idempotency_key":null,"event":{}}`, `   0 {}`},
		"escapes":                     {`{"\u0064ev_id":"\u0061cme","event":{"\u0061":"\n"}}`, `acme   0 {"\u0061":"\n"}`},
		"no event":                    {`{"dev_id":"acme"}`, "missing_event"},
		"empty":                       {`{}`, "missing_event"},
		"event is a text":             {`{"event":"{}"}`, "invalid_json"},
		"event is null":               {`{"event":null}`, "invalid_json"},
		"event does not end":          {`{"event":{"a":"}}`, "invalid_json"},
		"event is unbalanced":         {`{"event":{"a":[}}`, "invalid_json"},
		"no object":                   {`[]`, "invalid_json"},
		"two objects":                 {`{"event":{}}{}`, "invalid_json"},
		"no colon":                    {`{"event" {}}`, "invalid_json"},
		"no comma":                    {`{"dev_id":"a" "event":{}}`, "invalid_json"},
		"comma at the end":            {`{"event":{},}`, "invalid_json"},
		"comma at the start":          {`{,"event":{}}`, "invalid_json"},
		"no value":                    {`{"dev_id":,"event":{}}`, "invalid_json"},
		"bad escape":                  {`{"dev_id":"\x","event":{}}`, "invalid_json"},
		"unknown member":              {`{"dev-id":"acme","event":{}}`, "unknown_field"},
		"member in other case":        {`{"DEV_ID":"acme","event":{}}`, "unknown_field"},
		"event twice":                 {`{"event":{},"event":{}}`, "duplicate_key"},
		"event twice, escaped":        {`{"event":{},"\u0065vent":{}}`, "duplicate_key"},
		"developer is a number":       {`{"dev_id":1,"event":{}}`, "invalid_field"},
		"empty key":                   {`{"idempotency_key":"","event":{}}`, "invalid_idempotency_key"},
		"ordering is a text":          {`{"ordering_timestamp":"1780000000123","event":{}}`, "invalid_ordering_timestamp"},
		"ordering to the microsecond": {`{"ordering_timestamp":1780000000123.5,"event":{}}`, `   1780000000123.500 {}`},
		"ordering beyond that":        {`{"ordering_timestamp":1780000000123.4567,"event":{}}`, "invalid_ordering_timestamp"},
		"ordering without decimals":   {`{"ordering_timestamp":1780000000123.,"event":{}}`, "invalid_ordering_timestamp"},
		"ordering with a sign":        {`{"ordering_timestamp":1780000000123.+1,"event":{}}`, "invalid_ordering_timestamp"},
		"body":                        {`{"dev_id":"acme","body":"CnsKfQ=="}`, "acme   0 \n{\n}"},
		"body is an object":           {`{"body":{}}`, "invalid_field"},
		"body is no base64":           {`{"body":"CnsKfQ"}`, "invalid_field"},
		"body is empty":               {`{"body":""}`, "invalid_field"},
		"body and event":              {`{"body":"CnsKfQ==","event":{}}`, "duplicate_key"},
		"event and body":              {`{"event":{},"body":"CnsKfQ=="}`, "duplicate_key"},
	} {
		req, err := Parse([]byte(c.line))
		var got string
		if err != nil {
			refused, _ := errors.AsType[*ingest.Refusal](err)
			got = refused.Code
		} else {
			ms := "0"
			if !req.Ordering.IsZero() {
				ms = fmt.Sprint(req.Ordering.UnixMilli())
				if micros := req.Ordering.UnixMicro() % 1000; micros > 0 {
					ms += fmt.Sprintf(".%03d", micros)
				}
			}
			got = fmt.Sprintf("%s %s %s %s %s", req.Developer, req.Reference, req.IdempotencyKey, ms, req.Body)
		}
		if got != c.want {
			t.Errorf("%s: %s\ngot  %q\nwant %q", name, c.line, got, c.want)
		}
	}
}

// Lines come out as they went in however the input is cut into reads, and a
// line that is taken is JSON whose event is the very bytes that a full parser finds.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "a\nb", `{"dev_id":"acme","event":{"type":"a"}}` + "\n" + `{"event":{"a":"}"}}`,
		`{"event":{"a":[}}`, `{"event":{"a":"\"}"} , "dev_id":"\u0061"}`, "{\"event\":{\"a\":\"\xff\"}}\r\n", `{"event":{}}}`,
	} {
		f.Add([]byte(seed), uint16(1000))
	}
	f.Fuzz(func(t *testing.T, in []byte, limit uint16) {
		whole, wholeErr := readLines(bytes.NewReader(in), int64(limit))
		single, singleErr := readLines(iotest.OneByteReader(bytes.NewReader(in)), int64(limit))
		if !slices.Equal(whole, single) || !errors.Is(singleErr, wholeErr) {
			t.Fatalf("read at once %q %v, byte by byte %q %v", whole, wholeErr, single, singleErr)
		}
		want := strings.Split(string(in), "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		if len(in) <= int(limit) && !slices.Equal(whole, want) {
			t.Fatalf("got %q, want %q", whole, want)
		}
		for _, line := range whole {
			req, err := Parse([]byte(line))
			if err != nil || !json.Valid(req.Body) {
				continue // the event is refused when it is parsed
			}
			if !json.Valid([]byte(line)) {
				// The texts beside the event are read leniently; what is in
				// them is judged when they are used.
				continue
			}
			var full struct {
				Event json.RawMessage `json:"event"`
				Body  []byte          `json:"body"`
			}
			if err := json.Unmarshal([]byte(line), &full); err != nil {
				t.Fatalf("%q was taken: %v", line, err)
			}
			if want := slices.Concat(full.Event, full.Body); !bytes.Equal(want, req.Body) {
				t.Fatalf("event of %q is %q, want %q", line, req.Body, want)
			}
		}
	})
}
