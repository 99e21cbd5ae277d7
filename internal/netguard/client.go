package netguard

import (
	"net/http"
	"time"
)

// Client returns a client whose every connection goes through the guard, which follows no redirect and
// takes no proxy from the environment; its Transport is an *http.Transport sized for conns connections.
func (g *Guard) Client(conns int) *http.Client {
	conns = max(conns, 1)
	return &http.Client{
		// net/http hands on the answer itself, its body unread.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: g.DialContext,
			// Two idle connections per host, the default, would cost a busy
			// destination a new connection per delivery.
			MaxIdleConns:        conns,
			MaxIdleConnsPerHost: conns,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true, // a DialContext of one's own turns it off
			// An HTTP/2 connection that died in silence would take every
			// request of its destination down with it.
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second},
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // answers are read for an excerpt only, and a bomb must stay small
			WriteBufferSize:        8 << 10,
			ReadBufferSize:         4 << 10,
		},
	}
}
