package exchange

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// generated composes an answer, mostly valid, and the method that asks for it.
func generated(seed uint64) (method, wire string) {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	end := "\r\n"
	if r.IntN(12) == 0 {
		end = "\n"
	}
	for r.IntN(8) == 0 {
		b.WriteString("HTTP/1.1 " + pick("100 Continue", "102 Processing", "103 Early Hints"+end+"Link: </a>", "199 x") + end + end)
	}
	version, code := "HTTP/1.1", pick("200", "200", "200", "201", "204", "304", "400", "404", "429", "500", "503", "299", "999")
	if r.IntN(10) == 0 {
		version = pick("HTTP/1.0", "HTTP/1.0", "http/1.1", "HTTP/2.0", "HTTP/1", "HTTPS/1.1", "")
	}
	if r.IntN(20) == 0 {
		code = pick("101", "099", "000", "20", "2000", "+20", "two", "")
	}
	b.WriteString(version + pick(" ", " ", " ", "  ") + code + pick(" OK", "", " ", " Not Found", " \xff") + end)
	body := pick("", "hello", "hello", "{\"ok\":true}", strings.Repeat("x", 5000))
	for range r.IntN(4) {
		b.WriteString(pick("Server: x", "Date: now", "Retry-After: 5", "X-Empty:", "Connection: keep-alive", "Keep-Alive: timeout=5", "Set-Cookie: a=b", "x:y") + end)
	}
	if r.IntN(10) == 0 {
		b.WriteString(pick("Connection: close", "no colon", ": x", " folded", "A B: c", "A : b", "A\x00: b", "A: b\x00", "A: b\rc", "\xe4: x", "\t") + end)
	}
	switch length := fmt.Sprint(len(body)); r.IntN(8) {
	case 0: // up to the end
		b.WriteString(end + body)
	case 1, 2:
		b.WriteString("Transfer-Encoding: " + pick("chunked", "chunked", "Chunked", "gzip", "chunked, chunked", "identity", "x") + end)
		if r.IntN(8) == 0 {
			b.WriteString(pick("Transfer-Encoding: chunked", "Content-Length: 3") + end)
		}
		b.WriteString(end)
		if cut := len(body) / 2; cut > 0 {
			fmt.Fprintf(&b, "%x\r\n%s\r\n%X%s\r\n%s\r\n", cut, body[:cut], len(body)-cut, pick("", ";a=b", " "), body[cut:])
		}
		b.WriteString("0\r\n" + pick("", "", "A: b\r\n") + "\r\n")
	case 3:
		b.WriteString("Content-Length: " + pick(length+end+"Content-Length: "+length, length+end+"Content-Length: 3",
			length+", "+length, "+"+length, "-1", "", "x", "99999999999999999999", "00"+length, " "+length+" ") + end + end + body)
	default:
		b.WriteString("Content-Length: " + length + end + end + body)
	}
	wire = b.String()
	switch r.IntN(12) {
	case 0:
		wire = wire[:r.IntN(len(wire)+1)]
	case 1:
		wire += pick("\r\n", "x", ok)
	case 2:
		i := r.IntN(len(wire))
		wire = wire[:i] + string(rune(r.IntN(128))) + wire[i+1:]
	}
	return methods[r.IntN(len(methods))], wire
}

// theirs returns what net/http's client makes of wire.
func theirs(method string, wire []byte) outcome {
	dialled := false
	t := &http.Transport{DisableCompression: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		if dialled {
			return nil, net.ErrClosed // it would ask again
		}
		dialled = true
		return cannedConn(wire, false), nil
	}}
	defer t.CloseIdleConnections()
	r, err := http.NewRequest(method, "http://somewhere/", nil)
	if err != nil {
		return outcome{refused: true}
	}
	resp, err := t.RoundTrip(r)
	if err != nil {
		return outcome{refused: true}
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return outcome{code: resp.StatusCode, body: string(b), cutOff: err != nil}
}

// permitted lists where an exchange may make something else of an answer than
// net/http's client does, and why.
var permitted = []struct {
	why   string
	holds func(wire string, theirs, ours outcome) bool
}{
	{"the status line decides, whatever else is malformed: net/http refuses the whole answer", func(wire string, theirs, ours outcome) bool {
		return theirs.refused && !ours.refused && !ours.kept && hasStatus(wire, ours.code)
	}},
	{"real servers write the protocol in lower case, or another blank behind the code", func(wire string, theirs, ours outcome) bool {
		return theirs.refused && !ours.refused && hasStatus(wire, ours.code) &&
			(strings.Contains(wire, "http/1.1 ") || strings.Contains(wire, fmt.Sprintf("HTTP/1.1 %d\t", ours.code)))
	}},
	{"no status is below 100", func(_ string, theirs, ours outcome) bool { return ours.refused && theirs.code < 100 }},
	{"chunks are read as such, also in HTTP/1.0", func(wire string, theirs, ours outcome) bool {
		return theirs.code == ours.code && strings.Contains(wire, "HTTP/1.0") && strings.Contains(wire, "hunked") && !ours.kept
	}},
	{"another protocol's bytes are no answer's body", func(_ string, theirs, ours outcome) bool {
		return theirs.code == 101 && ours.code == 101 && ours.body == ""
	}},
}

// hasStatus tells whether a line of wire begins with a protocol and says code.
func hasStatus(wire string, code int) bool {
	for line := range strings.SplitSeq(wire, "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && strings.HasPrefix(strings.ToUpper(words[0]), "HTTP/") && words[1] == fmt.Sprint(code) {
			return true
		}
	}
	return false
}

// TestAgainstNetHTTP compares what becomes of recorded and generated answers.
func TestAgainstNetHTTP(t *testing.T) {
	log.SetOutput(io.Discard) // net/http prints what it finds after an answer
	defer log.SetOutput(os.Stderr)
	seen := map[string]int{}
	compare := func(method, wire string) {
		t.Helper()
		t1 := theirs(method, []byte(wire))
		o1, _ := ours(t, method, []byte(wire), false)
		if t1.refused == o1.refused && t1.code == o1.code && t1.body == o1.body && t1.cutOff == o1.cutOff {
			seen["same"]++
			return
		}
		for _, p := range permitted {
			if p.holds(wire, t1, o1) {
				seen[p.why]++
				return
			}
		}
		seen["other"]++
		if seen["other"] < 10 {
			t.Errorf("%s %.300q\nnet/http: %+v\nours:     %+v", method, wire, t1, o1)
		}
	}
	for _, wire := range recorded {
		for _, method := range methods {
			compare(method, wire)
		}
	}
	const cases = 8000
	for seed := range uint64(cases) {
		compare(generated(seed))
	}
	if seen["same"] < cases/2 {
		t.Errorf("%d of %d are the same", seen["same"], cases)
	}
	for _, p := range permitted {
		if seen[p.why] == 0 {
			t.Errorf("never seen: %s", p.why)
		}
	}
}
