package netguard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// split reads host:port. The port is a number from 1 to 65535: names of
// services would be looked up in files of the machine.
func split(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q is not a port", text)
	}
	if host == "" {
		return "", 0, errors.New("the host is missing")
	}
	return host, uint16(n), nil
}

// literal reads a host that is an address; false means that it is a name to
// resolve. Hosts that other software reads as an address (0177.0.0.1, 0x7f.1,
// 2130706433) are neither: which address they mean depends on who reads them.
func literal(host string) (netip.Addr, bool, error) {
	bare := strings.TrimSuffix(host, ".")
	if a, err := netip.ParseAddr(bare); err == nil {
		return a, true, nil
	}
	if strings.ContainsAny(bare, ":%") {
		return netip.Addr{}, false, errors.New("it is neither a name nor an address")
	}
	if numeric(bare[strings.LastIndexByte(bare, '.')+1:]) {
		return netip.Addr{}, false, errors.New("it is neither a name nor an address in the usual form of four decimal numbers")
	}
	for _, c := range []byte(bare) {
		if c >= 0x80 {
			return netip.Addr{}, false, errors.New("it has characters beyond ASCII: write the xn-- form")
		}
		if c <= ' ' || c == 0x7f || c == '/' || c == '\\' || c == '@' {
			return netip.Addr{}, false, errors.New("it has characters that no host has")
		}
	}
	return netip.Addr{}, false, nil
}

// numeric tells whether the last label of a host makes it an address to a
// reader as lax as inet_aton: decimal, octal or hexadecimal digits. No
// top-level domain is such a number.
func numeric(label string) bool {
	label = strings.ToLower(label)
	if digits, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}
