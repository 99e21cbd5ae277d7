package inbound

import (
	"strings"
	"testing"
	"time"
)

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

func TestTwoLengthsAreRefusedAndNothingBehindIsServed(t *testing.T) {
	for name, request := range map[string]string{
		"length first":     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"coding first":     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX: y\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"in small letters": "POST / HTTP/1.1\r\nhost: x\r\ncontent-length:5\r\ntransfer-encoding:chunked\r\n\r\n0\r\n\r\n",
		"bare newlines":    "POST / HTTP/1.1\nHost: x\nCONTENT-LENGTH: 5\nTRANSFER-ENCODING: chunked\n\n0\r\n\r\n",
		"of 1.0":           "POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	} {
		p := serve(t, 10).dial()
		p.send(request + smuggled)
		if got := p.answer(); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, `"two_lengths"`) {
			t.Errorf("%s: got %q", name, got)
		}
		if got := p.answer(); got != "" {
			t.Errorf("%s: then %q", name, got)
		}
	}
}

// A request with two lengths that follows one that is being answered is refused; the answer is
// not cut off.
func TestTwoLengthsInAPipeline(t *testing.T) {
	s := serve(t, 10)
	p := s.dial()
	p.send("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab")
	select {
	case <-s.entered:
	case <-time.After(patience):
		t.Fatal("the first was not served")
	}
	p.send("cPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled)
	s.release <- struct{}{}
	if got := p.answer(); got != `200 /hold "abc" <nil>` {
		t.Errorf("the first got %q", got)
	}
	if got := p.answer(); !strings.Contains(got, "two_lengths") {
		t.Errorf("the second got %q", got)
	}
	if got := p.answer(); got != "" {
		t.Errorf("then %q", got)
	}
}

func TestOneLengthIsServed(t *testing.T) {
	p := serve(t, 10).dial()
	for _, c := range [][2]string{
		{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", `200 /a "abc" <nil>`},
		{"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", `200 /b "abc" <nil>`},
		{"POST /c HTTP/1.1\r\nHost: x\r\nX: content-length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", `200 /c "" <nil>`},
		{smuggled, `200 /smuggled "" <nil>`},
	} {
		p.send(c[0])
		if got := p.answer(); got != c[1] {
			t.Errorf("%q: got %q", c[0], got)
		}
	}
	// Three requests at once, each with another way to say its length.
	p.send("POST /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz" + smuggled)
	for _, want := range []string{`200 /d "" <nil>`, `200 /e "z" <nil>`, `200 /smuggled "" <nil>`} {
		if got := p.answer(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHeadsAreFoundInPieces(t *testing.T) {
	all := "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"
	if !new(heads).scan([]byte(all)) {
		t.Error("not found at once")
	}
	var h heads
	for i := range len(all) {
		if found := h.scan([]byte{all[i]}); found != (i == len(all)-1) {
			t.Errorf("byte %d: %v", i, found)
		}
	}
}
