package netguard

import (
	"fmt"
	"net"
	"testing"
)

// BenchmarkDial connects over loopback. Nearly every connection is to a name with one address or
// to an address: those must stay as cheap as one connect.
func BenchmarkDial(b *testing.B) {
	far := listen(b, "127.0.0.2:0", func(c net.Conn) {
		var one [1]byte
		c.Read(one[:])
	})
	dns := newNames(b, map[string][]string{"one.example": {"127.0.0.2"}, "two.example": {"127.0.0.2 127.0.0.3"}})
	g := newGuard(b, Config{Resolver: dns.resolver, Allow: ranges("127.0.0.0/8")})
	for _, host := range []string{"127.0.0.2", "one.example", "two.example"} {
		b.Run(host, func(b *testing.B) {
			b.ReportAllocs()
			address := net.JoinHostPort(host, fmt.Sprint(far.addr.Port()))
			for b.Loop() {
				c, err := g.DialContext(b.Context(), "tcp", address)
				if err != nil {
					b.Fatal(err)
				}
				c.(*net.TCPConn).SetLinger(0) // leaves no port waiting
				c.Close()
			}
		})
	}
}
