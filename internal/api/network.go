package api

import "net/netip"

// network is where an address lies: its /24, or /48 of IPv6, which is about what one
// customer of a provider has. Addresses of people are not kept.
func network(hostport string) string {
	at, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return "unknown"
	}
	addr, bits := at.Addr().Unmap().WithZone(""), 24
	if addr.Is6() {
		bits = 48
	}
	return netip.PrefixFrom(addr, bits).Masked().String()
}
