package endpoint

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// Bounds of RFC 1035, 2.3.4, in bytes, without a full stop at the end.
const (
	maxHost  = 253
	maxLabel = 63
)

// Host returns the name or the IP address of a host as connections and
// certificates use it: a name in another script in its xn-- form. net/http would
// make that itself, anew for each request and in two ways, which differ for
// Bücher.example. A name that no resolver would look up is an error.
func Host(name string) (string, error) {
	if isAddress(name) {
		return name, nil
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", cannotBe("a name has letters, digits and hyphens")
		}
		if name = ascii; isAddress(name) { // there are digits of other scripts
			return name, nil
		}
	}
	name, rooted := strings.CutSuffix(name, ".")
	if len(name) > maxHost {
		return "", cannotBe("it has more than 253 characters")
	}
	var last string
	for last = range strings.SplitSeq(name, ".") {
		if err := checkLabel(last); err != nil {
			return "", err
		}
	}
	if numeric(last) {
		return "", cannotBe("it ends with a number and is no IP address, which is written 192.0.2.1")
	}
	if rooted {
		name += "."
	}
	return name, nil
}

func isAddress(name string) bool {
	a, err := netip.ParseAddr(name)
	return err == nil && a.Zone() == ""
}

// checkLabel judges what stands between two full stops. Underscores are no
// part of a host's name by RFC 1123; private networks have them, and resolvers
// look them up.
func checkLabel(label string) error {
	switch {
	case label == "":
		return cannotBe("there is nothing between two full stops, or before the first")
	case len(label) > maxLabel:
		return cannotBe("there are more than 63 characters between two full stops")
	case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
		return cannotBe("a hyphen stands beside a full stop, or at an end")
	case strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "":
		return cannotBe("a name has letters, digits and hyphens, no * and no blank")
	}
	return nil
}

// numeric tells whether a last label makes others take the whole for an IPv4
// address in one of its old forms: 127.1, 0x7f000001, 2130706433.
func numeric(label string) bool {
	if hex, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func cannotBe(why string) error { return errors.New("names a host that cannot be: " + why) }
