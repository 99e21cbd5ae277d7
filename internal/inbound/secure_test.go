package inbound

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// secureServer serves over TLS under a limit.
type secureServer struct {
	*served
	trust *x509.CertPool
	log   *lockedLog
}

type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

func serveTLS(t *testing.T, most int) *secureServer {
	t.Helper()
	lender := httptest.NewTLSServer(nil) // of a certificate
	defer lender.Close()
	s := &secureServer{&served{t: t, limit: NewLimit(most)}, x509.NewCertPool(), &lockedLog{}}
	s.trust.AddCert(lender.Certificate())
	s.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %q %v %v", r.Proto, r.URL.Path, b, err, r.TLS.HandshakeComplete)
		}),
		TLSConfig:         &tls.Config{Certificates: lender.TLS.Certificates},
		ReadHeaderTimeout: 20 * time.Second,
		ErrorLog:          log.New(s.log, "", 0),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	l = s.limit.Serve(s.server, l)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.server.Serve(l) }()
	t.Cleanup(func() { s.server.Close(); l.Close(); <-done })
	return s
}

func (s *secureServer) dialTLS() *peer {
	s.t.Helper()
	c := tls.Client(s.dial(), &tls.Config{RootCAs: s.trust, ServerName: "example.com"})
	return &peer{s.t, c, bufio.NewReader(c)}
}

func TestTwoLengthsAreRefusedWithinTLS(t *testing.T) {
	s := serveTLS(t, 10)
	p := s.dialTLS()
	for _, c := range [][2]string{
		{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", `200 HTTP/1.1 /a "abc" <nil> true`},
		{"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", `200 HTTP/1.1 /b "abc" <nil> true`},
	} {
		p.send(c[0])
		if got := p.answer(); got != c[1] {
			t.Errorf("%q: got %q", c[0], got)
		}
	}
	p.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled)
	if got := p.answer(); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, `"two_lengths"`) {
		t.Errorf("got %q", got)
	}
	if got := p.answer(); got != "" {
		t.Errorf("then %q", got)
	}
	if n := s.limit.TwoLengths(); n == 0 {
		t.Error("it was not counted")
	}
}

// Connections of HTTP/2 count, and are idle between requests.
func TestHTTP2IsServedUnderTheLimit(t *testing.T) {
	s := serveTLS(t, 10)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.trust, ServerName: "example.com"}, ForceAttemptHTTP2: true,
	}}
	defer client.CloseIdleConnections()
	res, err := client.Get("https://" + s.addr + "/two")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if string(b) != `HTTP/2.0 /two "" <nil> true` {
		t.Errorf("got %q", b)
	}
	s.until("it is idle", func() bool {
		s.limit.mu.Lock()
		defer s.limit.mu.Unlock()
		return s.limit.open == 1 && s.limit.idle.Len() == 1
	})
}

// A handshake that does not end holds up nobody, and gives way.
func TestHandshakesThatDoNotEndGiveWay(t *testing.T) {
	s := serveTLS(t, 3)
	var silent []*peer
	for range 3 {
		silent = append(silent, s.dial())
	}
	s.until("all are counted", func() bool { return s.limit.Open() == 3 })
	p := s.dialTLS()
	p.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := p.answer(); got != `200 HTTP/1.1 /x "" <nil> true` {
		t.Errorf("got %q", got)
	}
	if n, err := silent[0].Read(make([]byte, 1)); err == nil {
		t.Errorf("the first was told %d bytes", n)
	}
	if n := s.limit.Evicted(); n != 1 {
		t.Errorf("%d gave way", n)
	}
}

func TestWhoSpeaksNoTLSIsTold(t *testing.T) {
	s := serveTLS(t, 10)
	p := s.dial()
	p.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := p.answer(); !strings.HasPrefix(got, "400 ") {
		t.Errorf("got %q", got)
	}
	s.until("it is logged", func() bool { return s.log.has("client sent an HTTP request to an HTTPS server") })
	s.until("it is gone", func() bool { return s.limit.Open() == 0 })
}

func TestClosingEndsHandshakes(t *testing.T) {
	s := serveTLS(t, 10)
	s.dial()
	s.until("it is counted", func() bool { return s.limit.Open() == 1 })
	s.server.Close()
	s.until("it is gone", func() bool { return s.limit.Open() == 0 })
}
