package inbound

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Below TLS heads are not to be seen: whatever has Transfer-Encoding is the last
// request of its connection. Connections count all the same, those of HTTP/2 too.
func TestOverTLSNothingBehindChunksIsServed(t *testing.T) {
	limit := NewLimit(10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+r.URL.Path)
	}))
	server.Listener = limit.Serve(server.Config, server.Listener)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: trust, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := &peer{t, c, bufio.NewReader(c)}
	p.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled)
	if got := p.answer(); got != "200 HTTP/1.1 /" {
		t.Errorf("got %q", got)
	}
	if got := p.answer(); got != "" {
		t.Errorf("then %q", got)
	}
	res, err := server.Client().Get(server.URL + "/two")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if string(b) != "HTTP/2.0 /two" {
		t.Errorf("got %q", b)
	}
	(&served{t: t, limit: limit}).until("the one of HTTP/2 is left, and idle", func() bool {
		limit.mu.Lock()
		defer limit.mu.Unlock()
		return limit.open == 1 && limit.idle.Len() == 1
	})
}
