package client

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

func TestAppendLine(t *testing.T) {
	for _, tc := range []struct {
		r    SendRequest
		want string
	}{
		{SendRequest{Body: []byte(`{"type":"auth"}`)}, `{"event":{"type":"auth"}}`},
		{SendRequest{Developer: `a"b`, Reference: "r", IdempotencyKey: "k", Ordering: time.UnixMilli(1782897153000), Body: []byte("{ \"a\" :\t1.0e5}")},
			`{"dev_id":"a\"b","reference":"r","idempotency_key":"k","ordering_timestamp":1782897153000,"event":{ "a" :` + "\t" + `1.0e5}}`},
		{SendRequest{Body: []byte("{\n}"), Ordering: time.UnixMicro(1782897153000007)}, `{"ordering_timestamp":1782897153000.007,"body":"ewp9"}`},
		{SendRequest{Body: []byte("{}\r")}, `{"body":"e30N"}`},
		{SendRequest{Body: []byte(" {}")}, `{"body":"IHt9"}`},
	} {
		got, err := AppendLine(nil, tc.r)
		if err != nil || string(got) != tc.want+"\n" {
			t.Errorf("got %q, %v, want %q", got, err, tc.want)
		}
	}
	if b, err := AppendLine([]byte("x"), SendRequest{}); err == nil || string(b) != "x" {
		t.Errorf("no body: %q, %v", b, err)
	}
}

const results = `{"line":1,"status":202,"id":"i1","reference":"r","deliveries":2}
{"line":2,"status":200,"id":"i2","duplicate":true}
{"line":3,"status":400,"error":{"code":"missing_type","message":"no type"}}
`

func TestBatchResultsComeInOrder(t *testing.T) {
	c, s := scripted(t, ok(results))
	var got []BatchResult
	for r, err := range c.SendBatch(t.Context(), []byte("x\ny\nz\n")) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if len(got) != 3 || got[0].ID != "i1" || got[0].Deliveries != 2 || !got[1].Duplicate || got[1].Line != 2 ||
		got[2].Err == nil || *got[2].Err != (Error{400, "missing_type", "no type", 0}) {
		t.Errorf("got %+v", got)
	}
	if a := s.asked[0]; a.body != "x\ny\nz\n" || a.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("asked %+v", a)
	}
}

func TestABrokenBatchSaysSo(t *testing.T) {
	for name, tc := range map[string]struct {
		answer answer
		want   int
		typed  bool
	}{
		"cut connection":       {answer{status: 200, stream: broken{bytes.NewReader([]byte(results)), io.ErrUnexpectedEOF}}, 3, false},
		"cut line":             {ok(results[:len(results)-5]), 2, false},
		"no JSON":              {ok("hello\n"), 0, false},
		"refused before":       {refused(503, "unavailable"), 0, true},
		"network":              {answer{err: errNetwork}, 0, false},
		"refused for its size": {refused(413, "too_large"), 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := scripted(t, tc.answer)
			n := 0
			var failure error
			for _, err := range c.SendBatch(t.Context(), []byte("x\n")) {
				if failure != nil {
					t.Error("results after the error")
				}
				if failure = err; err == nil {
					n++
				}
			}
			if _, typed := errors.AsType[*Error](failure); failure == nil || typed != tc.typed || n != tc.want {
				t.Errorf("%d results, then %v", n, failure)
			}
			if len(s.asked) != 1 {
				t.Errorf("%d requests: a batch is tried once", len(s.asked))
			}
		})
	}
}

func TestABatchCanBeLeft(t *testing.T) {
	c, _ := scripted(t, ok(results))
	for _, err := range c.SendBatch(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
}
