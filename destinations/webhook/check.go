package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

var _ destination.Checker = (*webhook)(nil)

// rejection is the least time that a server gets to refuse our certificate.
const rejection = 500 * time.Millisecond

// Check connects as a delivery does, shakes hands where the URL is https, and
// hangs up: no request is sent, because a receiver could take any for an event.
// So it finds what is wrong with the name, the address, the certificates of
// both sides, and nothing behind them.
func (w *webhook) Check(ctx context.Context) error {
	if err := w.connect(ctx); err != nil {
		return w.failure(ctx, err, w.scrub)
	}
	return nil
}

func (w *webhook) connect(ctx context.Context) error {
	c, err := w.client.Dial(ctx, w.target)
	if err != nil {
		return err
	}
	defer c.Close()
	if !w.target.Secure {
		return nil
	}
	return shakeHands(ctx, c, w.client.TLS(w.target.Host))
}

var _ destination.Presenter = (*webhook)(nil)

// Certificates returns the client certificate of tls.cert.
func (w *webhook) Certificates() (shown []*x509.Certificate) {
	for _, c := range w.client.TLS("").Certificates {
		shown = append(shown, c.Leaf)
	}
	return shown
}

// shakeHands does what an exchange does before a request, and tells the trace
// of ctx about it in the same way.
func shakeHands(ctx context.Context, c net.Conn, cfg *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, exchange.HandshakeTime)
	defer cancel()
	asked := false
	cfg.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		for i := range cfg.Certificates {
			if info.SupportsCertificate(&cfg.Certificates[i]) == nil {
				return &cfg.Certificates[i], nil
			}
		}
		return &tls.Certificate{}, nil // none, as crypto/tls itself does: the server decides
	}
	s := tls.Client(c, cfg)
	began := time.Now()
	err := s.HandshakeContext(ctx)
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(s.ConnectionState(), err)
	}
	if err != nil || !asked || s.ConnectionState().Version < tls.VersionTLS13 {
		return err
	}
	return refused(ctx, s, max(rejection, 2*time.Since(began)))
}

// refused waits a moment for the server to refuse our certificate: in TLS 1.3
// the client's handshake ends before the server has looked at it.
func refused(ctx context.Context, s *tls.Conn, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if err := s.SetReadDeadline(deadline); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = s.SetReadDeadline(time.Unix(1, 0)) })()
	_, err := s.Read(make([]byte, 1))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch e, ok := errors.AsType[net.Error](err); {
	case err == nil, ok && e.Timeout(): // it speaks first, or waits for a request: both mean that it goes on with us
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("tls: the server asked for a client certificate and hung up: set tls.cert and tls.key to one that it knows")
	}
	return err
}
