package exchange

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// canned is a connection whose far side answers with what it is given, once a
// request has been written, and then closes.
type canned struct {
	in    io.Reader
	left  func() int // bytes that were not read
	asked chan struct{}
	once  sync.Once
}

// cannedConn gives wire in pieces as the socket would, or byte by byte.
func cannedConn(wire []byte, slowly bool) *canned {
	r := bytes.NewReader(wire)
	c := &canned{in: r, left: r.Len, asked: make(chan struct{})}
	if slowly {
		c.in = iotest.OneByteReader(r)
	}
	return c
}

func (c *canned) Read(b []byte) (int, error) { <-c.asked; return c.in.Read(b) }
func (c *canned) Write(b []byte) (int, error) {
	c.once.Do(func() { close(c.asked) })
	return len(b), nil
}
func (c *canned) Close() error                   { c.once.Do(func() { close(c.asked) }); return nil }
func (*canned) LocalAddr() net.Addr              { return named{name: "near"} }
func (*canned) RemoteAddr() net.Addr             { return named{name: "far"} }
func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }

// outcome is what a client makes of an answer.
type outcome struct {
	code      int
	body      string
	refused   bool // no answer at all
	cutOff    bool // its body ends with an error
	truncated bool // its head ended early
	kept      bool // the connection is used again
}

// ours returns what an exchange makes of wire, and what stands in its header.
func ours(t testing.TB, method string, wire []byte, slowly bool) (outcome, http.Header) {
	c := cannedConn(wire, slowly)
	pool := NewPool(func(context.Context, string, string) (net.Conn, error) { return c, nil }, Limits{1, 1})
	defer pool.Close()
	r := post(somewhere, "")
	r.Method = method
	a, err := pool.Client("acme", nil).Do(context.Background(), r)
	if err != nil {
		if a.Code != 0 || a.Requests != 1 {
			t.Errorf("%d after %d requests: %v", a.Code, a.Requests, err)
		}
		return outcome{refused: true}, nil
	}
	b, err := io.ReadAll(a)
	_ = a.Close()
	o := outcome{code: a.Code, body: string(b), cutOff: err != nil, truncated: a.Truncated != nil, kept: pool.Idle() == 1}
	switch {
	case a.Code != 101 && (a.Code < 200 || a.Code > 999):
		t.Errorf("code %d", a.Code)
	case len(b) > len(wire), cap(a.head) > 3*maxHead:
		t.Errorf("%d bytes became %d, and %d of head", len(wire), len(b), cap(a.head))
	case o.kept && (a.odd || o.truncated || o.cutOff || !a.done || !slowly && c.left() != 0):
		t.Errorf("kept, although odd: %v, %+v, %d bytes are left", a.odd, o, c.left())
	case o.truncated && o.body != "":
		t.Errorf("%+v", o)
	}
	h := a.Header()
	for name, values := range h {
		if !token([]byte(name)) || strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
			t.Errorf("header %q: %q", name, values)
		}
	}
	return o, h
}

// recorded are answers as servers send them: nginx, node, gunicorn, Jetty, IIS,
// a Go server, an Apache of long ago, a load balancer, S3 and PostgREST.
var recorded = []string{
	"HTTP/1.1 200 OK\r\nServer: nginx/1.26.2\r\nDate: Mon, 02 Mar 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n",
	"HTTP/1.1 413 Request Entity Too Large\r\nServer: nginx\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<html",
	"HTTP/1.1 200 OK\r\nX-Powered-By: Express\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 2\r\nETag: W/\"2-nOO9QiTIwXgNtWtBJezz8kv3SLc\"\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nOK",
	"HTTP/1.1 200 OK\r\nDate: Mon, 02 Mar 2026 10:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nokay\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nb\r\n{\"ok\": true}\r\n0\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nServer: Jetty(12.0.16)\r\n\r\n",
	"HTTP/1.1 202 Accepted\r\nServer: Microsoft-IIS/10.0\r\nContent-Length: 0\r\nX-AspNet-Version: 4.0.30319\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found",
	"HTTP/1.0 200 OK\r\nDate: x\r\nServer: Apache/1.3.27\r\nContent-Type: text/html\r\n\r\n<html></html>",
	"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
	"HTTP/1.1 502 Bad Gateway\ncontent-length: 11\ncontent-type: text/plain\n\nbad gateway",
	"HTTP/1.1 412 Precondition Failed\r\nx-amz-request-id: A\r\nContent-Type: application/xml\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n<Error\r\n2;x=y\r\n/>\r\n0\r\nA: b\r\n\r\n",
	"HTTP/1.1 201 Created\r\nContent-Range: */*\r\nPreference-Applied: return=minimal\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00",
	"HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n",
}

// FuzzAnswer: no answer makes an exchange panic, read on without a bound, or
// keep a connection that is not to be trusted, and it means the same however
// the network cuts it up.
func FuzzAnswer(f *testing.F) {
	for _, wire := range recorded {
		f.Add([]byte(wire), uint8(0))
	}
	for seed := range uint64(24) {
		_, wire := generated(seed)
		f.Add([]byte(wire), uint8(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte, which uint8) {
		method := methods[int(which)%len(methods)]
		whole, header := ours(t, method, wire, false)
		slow, same := ours(t, method, wire, true)
		slow.kept = whole.kept // what comes later can be seen only later
		if whole != slow || fmt.Sprint(header) != fmt.Sprint(same) {
			t.Errorf("at once: %+v\nbyte by byte: %+v", whole, slow)
		}
	})
}

var methods = []string{"POST", "POST", "GET", "HEAD"}

// FuzzFields: what Fields writes is read as the same fields, and no more.
func FuzzFields(f *testing.F) {
	f.Add("a\r\nb: c")
	f.Add("\x00")
	f.Fuzz(func(t *testing.T, value string) {
		b := string(Fields(nil, "A", value))
		if !strings.HasPrefix(b, "A: ") || !strings.HasSuffix(b, "\r\n") || strings.ContainsAny(b[3:len(b)-2], "\r\n\x00") || len(b) != len(value)+5 {
			t.Errorf("%q", b)
		}
	})
}
