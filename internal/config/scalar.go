package config

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The types of the values that need more than YAML's own. Their errors say how
// to write the value and never repeat what was written.

// duration is a time.Duration, as Go writes it.
type duration time.Duration

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		if _, num := strconv.ParseFloat(string(b), 64); num == nil {
			return errors.New("needs a unit: write 30s, 5m or 168h")
		}
		return errors.New("is not a duration: write 500ms, 30s, 5m or 168h (hours are the largest unit, a day is 24h)")
	}
	if v < 0 {
		return errors.New("must not be negative")
	}
	*d = duration(v)
	return nil
}

// size is a number of bytes.
type size int64

var sizeUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"B", 1}, {"", 1}}

func (s *size) UnmarshalText(b []byte) error {
	text := string(b)
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := plainNumber(strings.TrimRight(digits, " "))
		if err != nil {
			break
		}
		if n *= u.bytes; n > 1<<60 {
			return errors.New("is too large")
		}
		*s = size(n)
		return nil
	}
	return errors.New("is not a size: write 512KiB, 32MiB or 1GiB")
}

// speed is a number of bytes a second.
type speed int64

func (s *speed) UnmarshalText(b []byte) error {
	text, ok := bytes.CutSuffix(b, []byte("/s"))
	var n size
	if !ok || n.UnmarshalText(text) != nil {
		return errors.New("is not a speed: write 500B/s, 1KiB/s or 1MiB/s")
	}
	*s = speed(n)
	return nil
}

// rate is a number of things a second.
type rate float64

func (r *rate) UnmarshalText(b []byte) error {
	if string(b) == "0" {
		*r = 0
		return nil
	}
	bad := errors.New("is not a rate: write 50/s, 100/m or 10/h, or 0 for no limit")
	count, unit, ok := strings.Cut(string(b), "/")
	if !ok {
		return bad
	}
	per, ok := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, err := plainNumber(count)
	if !ok || err != nil {
		return bad
	}
	if n == 0 {
		return errors.New("would let nothing through: write 0 for no limit")
	}
	if n > 1e9 {
		return errors.New("is too large")
	}
	*r = rate(n / per)
	return nil
}

// plainNumber reads digits with at most one point: no signs, exponents, NaN or infinities.
func plainNumber(s string) (float64, error) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// network is a range of addresses, or a single one.
type network netip.Prefix

func (n *network) UnmarshalText(b []byte) error {
	p, err := netip.ParsePrefix(string(b))
	if err != nil {
		a, err := netip.ParseAddr(string(b))
		if err != nil || a.Zone() != "" {
			return errors.New("is not a range of addresses: write 10.0.0.0/8, 10.1.2.3 or fd00::/8")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		return errors.New("is an IPv4 address dressed as IPv6: write it as IPv4")
	}
	if p != p.Masked() {
		return errors.New("has bits behind its mask: write " + p.Masked().String() + " for the whole range")
	}
	*n = network(p)
	return nil
}

// address is one address of this machine.
type address netip.Addr

func (a *address) UnmarshalText(b []byte) error {
	v, err := netip.ParseAddr(string(b))
	if err != nil || v.Is4In6() || v.IsUnspecified() || v.IsMulticast() {
		return errors.New("is not an address of this machine: write 192.0.2.7 or 2001:db8::7")
	}
	*a = address(v)
	return nil
}
