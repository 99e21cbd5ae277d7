package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// most bounds what is noted of one check: a kind may dial as often as it likes.
const most = 16

// witness notes what one check does on the network. It ignores what comes after the end of the
// check, from a dial that net/http goes on with.
type witness struct {
	mu     sync.Mutex
	dials  []dialled
	hands  []handshake
	latest string // host of the last dial
}

// dialled is one connection that was asked for.
type dialled struct {
	host, address string // address: host:port as asked
	remote        string // what it is connected to; "" with err
	err           error
}

// handshake is one of TLS.
type handshake struct {
	host    string
	expires time.Time // of the first certificate of the chain to end; zero when unknown
	err     error
}

type witnessKey struct{}

// Watch returns dial with a report: it tells the check to which the context belongs what became of
// each connection.
func Watch(dial destination.DialFunc) destination.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if w, ok := ctx.Value(witnessKey{}).(*witness); ok {
			w.dialled(address, c, err)
		}
		return c, err
	}
}

// watch returns ctx with w in it, and with hooks for what net/http does beyond dialling. Kinds
// that make their own handshakes call the same hooks.
func (w *witness) watch(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, witnessKey{}, w)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			if !i.Reused {
				return
			}
			// A kept connection is neither dialled nor shaken hands upon now.
			w.dialled(i.Conn.RemoteAddr().String(), i.Conn, nil)
			if s, ok := i.Conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
				w.shook(s.ConnectionState(), nil)
			}
		},
		TLSHandshakeDone: w.shook,
	})
}

func (w *witness) dialled(address string, c net.Conn, err error) {
	d := dialled{address: address, err: err}
	if d.host, _, _ = net.SplitHostPort(address); d.host == "" {
		d.host = address
	}
	if err == nil {
		d.remote = c.RemoteAddr().String()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latest = d.host
	same := func(o dialled) bool { return o.address == d.address && (o.err == nil) == (err == nil) }
	if len(w.dials) < most && !slices.ContainsFunc(w.dials, same) {
		w.dials = append(w.dials, d)
	}
}

func (w *witness) shook(state tls.ConnectionState, err error) {
	h := handshake{host: state.ServerName, expires: expiry(state), err: err}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(e.UnverifiedCertificates) > 0 {
		h.expires = e.UnverifiedCertificates[0].NotAfter
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.host == "" {
		h.host = w.latest
	}
	same := func(o handshake) bool { return o.host == h.host && o.expires.Equal(h.expires) }
	if len(w.hands) < most && !slices.ContainsFunc(w.hands, same) {
		w.hands = append(w.hands, h)
	}
}

// seen returns what was noted so far.
func (w *witness) seen() ([]dialled, []handshake) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dials), slices.Clone(w.hands)
}

// expiry is when the chain that lasts longest ends. Without a verified chain it is when the
// server's own certificate ends.
func expiry(state tls.ConnectionState) (last time.Time) {
	for _, chain := range state.VerifiedChains {
		if end := firstToEnd(chain); end.After(last) {
			last = end
		}
	}
	if last.IsZero() && len(state.PeerCertificates) > 0 {
		last = state.PeerCertificates[0].NotAfter
	}
	return last
}

func firstToEnd(chain []*x509.Certificate) (end time.Time) {
	for _, c := range chain {
		if end.IsZero() || c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}
