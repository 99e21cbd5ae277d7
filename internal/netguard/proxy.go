package netguard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// maxProxyAnswer bounds what is read of a proxy's answer to CONNECT.
const maxProxyAnswer = 16 << 10

// proxy is the operator's way out: it is trusted, and its own address is not judged.
type proxy struct {
	address string // host:port
	auth    string // value of Proxy-Authorization; "" for none
}

// parseProxy never repeats text in an error: it may hold a password.
func parseProxy(text string) (*proxy, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" ||
		u.Opaque != "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("proxy: want http://[user:password@]host:port")
	}
	if _, _, err := split(u.Host); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &proxy{address: u.Host}
	if u.User != nil {
		password, _ := u.User.Password()
		p.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return p, nil
}

// proxyDelay is to CONNECTs what connectDelay is to connections. It is longer, because an answer
// takes three round trips and the proxy's own work. A proxy that is slow under load must not get
// one more CONNECT for each slow one.
const proxyDelay = 2 * connectDelay

// connect asks the proxy for targets, which are addresses of name, and races them. It names
// addresses, so that the proxy cannot choose another one. Its errors do not name the proxy,
// because developers see them and the proxy is the operator's.
func (p *proxy) connect(ctx context.Context, g *Guard, name string, targets []netip.AddrPort) (net.Conn, error) {
	return g.race(ctx, name, targets, proxyDelay, func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		return p.tunnel(ctx, g, to)
	})
}

func (p *proxy) tunnel(ctx context.Context, g *Guard, to netip.AddrPort) (net.Conn, error) {
	c, err := p.dial(ctx, g)
	if err != nil {
		return nil, err
	}
	// A cancelled ctx interrupts what is being read or written.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	t, err := p.handshake(c, to)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, &failure{fmt.Sprintf("connect to %v through the proxy: %s", to, proxyText(err)), err}
	}
	return t, nil
}

// dial connects to the proxy itself.
func (p *proxy) dial(ctx context.Context, g *Guard) (net.Conn, error) {
	host, port, err := split(p.address)
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy: %w", err)
	}
	addrs, err := g.resolve(ctx, host, g.source.serves)
	if err != nil {
		return nil, &failure{"connect to the proxy: its name cannot be resolved", err}
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !g.source.serves(a) })
	if len(addrs) == 0 {
		return nil, errors.New("connect to the proxy: egress.source has no address of its family")
	}
	c, err := g.race(ctx, p.address, g.order(p.address, addrs, port), connectDelay, g.dialOne)
	if err != nil {
		return nil, &failure{"connect to the proxy: " + proxyText(err), err}
	}
	return c, nil
}

// proxyText says what went wrong without the addresses of the machine and its proxy.
func proxyText(err error) string {
	e, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled.Error()
	case ok && e.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case ok:
		return "the connection failed"
	case errors.Is(err, destination.ErrEngine):
		return "this machine could not open a connection"
	}
	return err.Error()
}

func (p *proxy) handshake(c net.Conn, to netip.AddrPort) (net.Conn, error) {
	var ask bytes.Buffer
	fmt.Fprintf(&ask, "CONNECT %v HTTP/1.1\r\nHost: %v\r\n", to, to)
	if p.auth != "" {
		fmt.Fprintf(&ask, "Proxy-Authorization: %s\r\n", p.auth)
	}
	ask.WriteString("\r\n")
	if _, err := c.Write(ask.Bytes()); err != nil {
		return nil, err
	}
	// Bytes that follow the answer in the same packet belong to the far side: in some protocols
	// (MySQL) it speaks first.
	limited := &io.LimitedReader{R: c, N: maxProxyAnswer}
	r := bufio.NewReader(limited)
	answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // the answer to a CONNECT has none
	if err != nil {
		if limited.N <= 0 {
			return nil, errors.New("its answer is too long")
		}
		if e, ok := errors.AsType[net.Error](err); ok {
			return nil, e
		}
		return nil, errors.New("its answer is not HTTP")
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	early, err := r.Peek(r.Buffered())
	if err != nil {
		return nil, err
	}
	return &tunnel{Conn: c, early: early, to: net.TCPAddrFromAddrPort(to)}, nil
}

// tunnel is a connection through the proxy. Its remote address is the far side's.
type tunnel struct {
	net.Conn
	early []byte // read already, given out first
	to    net.Addr
}

func (t *tunnel) RemoteAddr() net.Addr { return t.to }

// NetConn returns the connection to the proxy, as that of a tls.Conn does. It is for looking at
// the socket and not for reading, since some bytes were read already.
func (t *tunnel) NetConn() net.Conn { return t.Conn }

func (t *tunnel) Read(b []byte) (int, error) {
	if len(t.early) > 0 {
		n := copy(b, t.early)
		t.early = t.early[n:]
		return n, nil
	}
	return t.Conn.Read(b)
}
