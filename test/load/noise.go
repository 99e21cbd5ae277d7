package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// noise is a producer that misbehaves: it has uploads that crawl, and connections that are kept for
// nothing. When the daemon ends one, noise begins another.
type noise struct {
	addr   string
	cancel context.CancelFunc
	all    sync.WaitGroup
	begun  atomic.Int64 // uploads and connections that stand
}

// spread is the time over which the noise begins: as long as the daemon waits for a head, or for a
// body that does not come. Begun at once, all of it would also end and begin anew at once.
const spread = 10 * time.Second

// startNoise returns once all uploads and connections are open.
func startNoise(ctx context.Context, url string, slow, idle int) (*noise, error) {
	ctx, cancel := context.WithCancel(ctx)
	n := &noise{addr: strings.TrimPrefix(url, "http://"), cancel: cancel}
	begin := func(i, of int, f func(net.Conn)) {
		n.all.Go(func() {
			wait(ctx, spread*time.Duration(i)/time.Duration(of))
			n.again(ctx, f)
		})
	}
	for i := range slow {
		begin(i, slow, func(c net.Conn) { n.upload(ctx, c) })
	}
	for i := range idle {
		begin(i, idle, func(c net.Conn) { n.rest(c, i%2 == 0) })
	}
	for began := time.Now(); int(n.begun.Load()) < slow+idle; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute || ctx.Err() != nil {
			standing := n.begun.Load()
			n.stop()
			return nil, fmt.Errorf("only %d of %d uploads and connections stand after a minute", standing, slow+idle)
		}
	}
	return n, nil
}

func (n *noise) stop() {
	n.cancel()
	n.all.Wait()
}

// again does f with one connection after the other.
func (n *noise) again(ctx context.Context, f func(net.Conn)) {
	for ctx.Err() == nil {
		c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", n.addr)
		if err != nil {
			wait(ctx, 100*time.Millisecond)
			continue
		}
		end := context.AfterFunc(ctx, func() { c.Close() })
		n.begun.Add(1)
		f(c)
		n.begun.Add(-1)
		end()
		c.Close()
	}
}

// upload sends an event in chunks, a byte a second.
func (n *noise) upload(ctx context.Context, c net.Conn) {
	_, err := fmt.Fprintf(c, "POST /v1/events HTTP/1.1\r\nHost: %s\r\nDev-Id: %s0\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n", n.addr, noisy, tokenOf(noisy))
	answered := make(chan struct{})
	n.all.Go(func() {
		defer close(answered)
		_, _ = bufio.NewReader(c).ReadString('\n')
	})
	for err == nil {
		_, err = io.WriteString(c, "1\r\n{\r\n")
		select {
		case <-answered:
			return
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// rest makes one request, or none, and keeps the connection until the daemon ends it.
func (n *noise) rest(c net.Conn, asks bool) {
	in := bufio.NewReader(c)
	if asks {
		if _, err := fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", n.addr); err != nil {
			return
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	_, _ = in.ReadByte()
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
