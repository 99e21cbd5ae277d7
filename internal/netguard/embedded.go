package netguard

import (
	"iter"
	"net/netip"
)

var (
	compatible = netip.MustParsePrefix("::/96")
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")
	teredo     = netip.MustParsePrefix("2001::/32")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

// embedded yields the IPv4 addresses that a router may send a packet for a to. Where they lie in
// a local NAT64 address depends on the length of the network's prefix (RFC 6052): it is taken
// from allowed, the range of Allow that permits a.
func embedded(a netip.Addr, allowed netip.Prefix) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		if !a.Is6() {
			return
		}
		b := a.As16()
		tail := netip.AddrFrom4([4]byte(b[12:]))
		switch {
		case a == netip.IPv6Unspecified() || a == netip.IPv6Loopback():
			// These are no IPv4-compatible addresses, although they lie in that range.
		case compatible.Contains(a), translated.Contains(a), nat64.Contains(a):
			yield(tail)
		case localNAT64.Contains(a) && allowed.IsValid():
			// Byte 8 is reserved, so that the address skips it. A range wider than the block does not tell
			// the length of the prefix: every reading must be permitted.
			at48 := netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]})
			at56 := netip.AddrFrom4([4]byte{b[7], b[9], b[10], b[11]})
			at64 := netip.AddrFrom4([4]byte{b[9], b[10], b[11], b[12]})
			switch bits := allowed.Bits(); {
			case bits < 48:
				_ = yield(at48) && yield(at56) && yield(at64) && yield(tail)
			case bits == 48:
				yield(at48)
			case bits <= 56:
				yield(at56)
			case bits <= 64:
				yield(at64)
			default:
				yield(tail)
			}
		case sixToFour.Contains(a):
			yield(netip.AddrFrom4([4]byte(b[2:6])))
		case teredo.Contains(a):
			// First the server, then the client with its bits inverted.
			if yield(netip.AddrFrom4([4]byte(b[4:8]))) {
				yield(netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}))
			}
		case isISATAP(a):
			yield(tail)
		}
	}
}

// isISATAP tells whether the interface identifier of a is that of an IPv4
// tunnel (RFC 5214), which any prefix may have.
func isISATAP(a netip.Addr) bool {
	b := a.As16()
	return a.Is6() && b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
