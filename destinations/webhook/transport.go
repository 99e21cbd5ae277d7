package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/seed-51f8da91/fantail/destinations/internal/network"
)

// ownTransport is the engine's with other TLS settings and connections of its
// own. Its network knows them all: closing the idle ones would miss those that
// net/http is still setting up for an attempt that has given up waiting.
type ownTransport struct {
	*http.Transport
	network *network.Network
}

func newOwnTransport(t TLS, shared http.RoundTripper) (*ownTransport, error) {
	cfg, faults := t.config()
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	tr, ok := shared.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("tls: the engine's transport is a %T, which cannot be cloned", shared)
	}
	dial := tr.DialContext
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	o := &ownTransport{Transport: tr.Clone(), network: network.New(dial)}
	o.TLSClientConfig = cfg
	o.DialContext = o.network.Dial
	return o, nil
}

// Close ends every connection. No request is running.
func (o *ownTransport) Close() {
	o.CloseIdleConnections()
	o.network.Close()
}
