package faults_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

func TestFaults(t *testing.T) {
	seen := make(chan bool, 100) // a value for each whole request
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			seen <- true
		}
	}))
	defer upstream.Close()
	p := faults.New(t, upstream.Listener.Addr().String())
	send := func(timeout time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Addr, strings.NewReader(strings.Repeat("x", 4096)))
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{DisableKeepAlives: true}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	const ample = 10 * time.Second
	tests := []struct {
		name    string
		fault   func()
		timeout time.Duration
		fails   bool
		reaches bool // the server
	}{
		{"none", func() {}, ample, false, true},
		{"down", p.Down, ample, true, false},
		{"reset", p.Reset, ample, true, false},
		{"lost answers", p.LoseAnswers, ample, true, true},
		{"hang", p.Hang, 50 * time.Millisecond, true, false},
		{"latency", func() { p.Latency(time.Hour) }, 50 * time.Millisecond, true, true},
		{"bandwidth", func() { p.Bandwidth(1) }, 50 * time.Millisecond, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.fault()
			if err := send(tt.timeout); (err != nil) != tt.fails {
				t.Errorf("the client saw %v", err)
			}
			if tt.reaches {
				<-seen
			}
			if len(seen) > 0 {
				t.Error("the server saw the request")
			}
			p.Heal()
			if tt.name == "down" {
				p.Up()
			}
			if err := send(ample); err != nil {
				t.Fatalf("after the fault: %v", err)
			}
			<-seen
		})
	}
}

func TestDownBreaksOpenConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := faults.New(t, l.Addr().String())
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	p.Down()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the open connection: %v", err)
	}
	if c, err := net.Dial("tcp", p.Addr); err == nil {
		c.Close()
		t.Error("a new connection was accepted")
	}
}
