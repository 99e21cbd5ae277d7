package netguard

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// lent are the metadata services of the clouds whose SDKs our kinds use.
var lent = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // AWS and GCP
	netip.MustParseAddr("169.254.170.2"),   // AWS ECS
	netip.MustParseAddr("169.254.170.23"),  // AWS EKS pod identity
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd00:ec2::23"),    // AWS EKS pod identity
	netip.MustParseAddr("fd20:ce::254"),    // GCP
}

// metadataPort is that of all of them.
const metadataPort = 80

// Metadata returns a client that reaches the metadata services of AWS and Google and nothing
// else. It connects directly: those services know this machine, so that neither proxy nor source
// addresses are used. Deny holds. It is for destinations that may use the operator's own
// credentials.
func (g *Guard) Metadata() *http.Client {
	return g.confine(lent, metadataPort).client()
}

// client is an http.Client: SDKs need one, and ask once an hour.
func (g *Guard) client() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            g.DialContext,
			MaxIdleConns:           4,
			IdleConnTimeout:        10 * time.Second, // they are asked once an hour
			ResponseHeaderTimeout:  10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// confine returns a guard that connects to these addresses and this port only.
func (g *Guard) confine(to []netip.Addr, port uint16) *Guard {
	inner := &Guard{deny: g.deny, resolver: g.resolver, confined: port}
	for _, a := range to {
		inner.allow = append(inner.allow, netip.PrefixFrom(a, a.BitLen()))
	}
	return inner
}

// strays is why a confined guard refuses an address that is allowed otherwise.
func (g *Guard) strays(a netip.Addr) verdict {
	if g.confined != 0 && !contains(g.allow, a) {
		return verdict{"no metadata address of a cloud, and nothing else is asked for credentials", true}
	}
	return verdict{}
}

// mayAsk refuses ports where no metadata service is.
func (g *Guard) mayAsk(address string, port uint16) error {
	if g.confined != 0 && port != g.confined {
		return refuse(fmt.Sprintf("%.300q", address), "no metadata service is at that port")
	}
	return nil
}
