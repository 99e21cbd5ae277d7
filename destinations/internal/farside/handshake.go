package farside

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http/httptrace"
	"time"
)

// Shook tells the trace of ctx about a handshake as net/http does: a check shows
// when certificates end.
func Shook(ctx context.Context, state tls.ConnectionState, err error) {
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(state, err)
	}
}

// soon is how long before its end the client certificate is remarked upon, as
// long as a check does for those of servers.
const soon = 14 * 24 * time.Hour

// Ending says that the client certificate has ended or ends soon, "" if neither.
func (t TLS) Ending(now time.Time) string {
	pair, err := tls.X509KeyPair([]byte(t.Cert.Reveal()), []byte(t.Key.Reveal()))
	if err != nil { // none, or Config says it
		return ""
	}
	ends := pair.Leaf.NotAfter
	at := ends.UTC().Format("2006-01-02 15:04 UTC")
	switch left := ends.Sub(now); {
	case left <= 0:
		return "the client certificate in tls.cert ended on " + at + ": renew it"
	case left < soon:
		return fmt.Sprintf("the client certificate in tls.cert ends on %s, in %.1f days: renew it before", at, left.Hours()/24)
	}
	return ""
}
