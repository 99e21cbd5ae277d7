// Package hostile is servers that mean harm: they send without end, stop in the middle, announce sizes
// that nobody has room for, or drip. They speak just enough of a protocol to be listened to.
package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// TB is what a server needs of a test.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// Script is what a server does to one connection, which is closed when it returns.
type Script func(net.Conn)

// Server listens on loopback and plays one script at a time.
type Server struct {
	Addr   string
	Served atomic.Int64 // connections so far
	script atomic.Pointer[Script]
	all    sync.WaitGroup
	mu     sync.Mutex
	open   map[net.Conn]bool // nil when it has ended
}

// New starts a server that plays a script. It ends with the test.
func New(t TB, s Script) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &Server{Addr: l.Addr().String(), open: map[net.Conn]bool{}}
	h.script.Store(&s)
	h.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.all.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		h.cut(nil)
		h.all.Wait()
	})
	return h
}

// Play changes the script; connections that are open are cut off.
func (h *Server) Play(s Script) {
	h.script.Store(&s)
	h.cut(map[net.Conn]bool{})
}

// Forward is a script that passes everything on to a sound server.
func Forward(addr string) Script {
	return func(c net.Conn) {
		far, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer far.Close()
		var back sync.WaitGroup
		back.Go(func() {
			io.Copy(c, far)
			c.Close()
		})
		io.Copy(far, c)
		far.Close()
		back.Wait()
	}
}

// Within plays a script within TLS, from the first byte on.
func Within(config *tls.Config, s Script) Script {
	return func(c net.Conn) {
		if within := tls.Server(c, config); within.Handshake() == nil {
			s(within)
		}
	}
}

func (h *Server) serve(c net.Conn) {
	defer c.Close()
	h.mu.Lock()
	if h.open == nil {
		h.mu.Unlock()
		return
	}
	h.open[c] = true
	h.mu.Unlock()
	h.Served.Add(1)
	(*h.script.Load())(c)
	h.mu.Lock()
	delete(h.open, c)
	h.mu.Unlock()
}

func (h *Server) cut(next map[net.Conn]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.open {
		c.Close()
	}
	h.open = next
}

// forever writes b again and again until the client hangs up.
func forever(c io.Writer, b []byte) {
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// drip writes a byte of b every 20 ms, and then nothing until the client hangs up.
func drip(c net.Conn, b []byte) {
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	hang(c)
}

// hang reads until the client stops writing.
func hang(c io.Reader) { io.Copy(io.Discard, c) }

// TLS makes an authority and a certificate of it for 127.0.0.1, which last a day. It returns the server's
// side, and the authority in PEM for clients.
func TLS(t TB) (config *tls.Config, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hostile authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(23 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
