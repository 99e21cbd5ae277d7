package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestScalars(t *testing.T) {
	for _, c := range []struct {
		into encoding.TextUnmarshaler
		text string
		want string // "" for a fault
	}{
		{new(duration), "0", "0s"}, {new(duration), "0s", "0s"}, {new(duration), "168h", "168h0m0s"}, {new(duration), "1h30m", "1h30m0s"},
		{new(duration), "7d", ""}, {new(duration), "30", ""}, {new(duration), "-1s", ""}, {new(duration), "", ""}, {new(duration), "9999999h", ""},
		{new(size), "0", "0"}, {new(size), "1", "1"}, {new(size), "5B", "5"}, {new(size), "32MiB", "33554432"}, {new(size), "1.5 GiB", "1610612736"}, {new(size), "2TiB", "2199023255552"},
		{new(size), "32MB", ""}, {new(size), "32 mib", ""}, {new(size), "MiB", ""}, {new(size), "-1MiB", ""}, {new(size), "1e3", ""}, {new(size), "NaN", ""}, {new(size), "9999999TiB", ""}, {new(size), "1.2.3", ""}, {new(size), "", ""},
		{new(speed), "1KiB/s", "1024"}, {new(speed), "16B/s", "16"}, {new(speed), "1KiB", ""}, {new(speed), "1/m", ""}, {new(speed), "-1B/s", ""}, {new(speed), "/s", ""},
		{new(rate), "0", "0"}, {new(rate), "50/s", "50"}, {new(rate), "90/m", "1.5"}, {new(rate), "36/h", "0.01"}, {new(rate), "0.5/s", "0.5"},
		{new(rate), "50", ""}, {new(rate), "0/s", ""}, {new(rate), "-1/s", ""}, {new(rate), "5/d", ""}, {new(rate), "5/s/s", ""}, {new(rate), "Inf/s", ""}, {new(rate), "99999999999/s", ""}, {new(rate), "/s", ""}, {new(rate), "", ""},
		{new(network), "10.0.0.0/8", "10.0.0.0/8"}, {new(network), "10.1.2.3", "10.1.2.3/32"}, {new(network), "::1", "::1/128"}, {new(network), "0.0.0.0/0", "0.0.0.0/0"},
		{new(network), "10.0.0.1/8", ""}, {new(network), "::ffff:10.0.0.0/104", ""}, {new(network), "::ffff:10.0.0.1", ""}, {new(network), "fe80::1%eth0", ""}, {new(network), "x", ""}, {new(network), "10.0.0.0/33", ""},
		{new(address), "192.0.2.1", "192.0.2.1"}, {new(address), "fe80::1%eth0", "fe80::1%eth0"},
		{new(address), "0.0.0.0", ""}, {new(address), "::", ""}, {new(address), "224.0.0.1", ""}, {new(address), "::ffff:10.0.0.1", ""}, {new(address), "localhost", ""},
		{new(wait), "1ms", "1ms"}, {new(wait), "720h", "720h0m0s"}, {new(wait), "0", ""}, {new(wait), "721h", ""},
	} {
		err := c.into.UnmarshalText([]byte(c.text))
		if c.want == "" {
			if err == nil {
				t.Errorf("%T %q is read as %v", c.into, c.text, c.into)
			}
			continue
		}
		got := ""
		switch v := c.into.(type) {
		case *duration:
			got = time.Duration(*v).String()
		case *wait:
			got = time.Duration(*v).String()
		case *size:
			got = fmt.Sprint(int64(*v))
		case *speed:
			got = fmt.Sprint(int64(*v))
		case *rate:
			got = fmt.Sprint(float64(*v))
		case *network:
			got = netip.Prefix(*v).String()
		case *address:
			got = netip.Addr(*v).String()
		}
		if err != nil || got != c.want {
			t.Errorf("%T %q: %s, %v, want %s", c.into, c.text, got, err, c.want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Millisecond: "1ms", 30 * time.Second: "30s", 10 * time.Minute: "10m", 168 * time.Hour: "168h",
		90 * time.Minute: "1h30m", 30*time.Hour + 4*time.Minute + 24*time.Second: "30h4m24s", time.Hour + time.Second: "1h0m1s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, typ string
		want         bool
	}{
		{"sleep", "sleep", true}, {"sleep", "sleeps", false}, {"sleep", "asleep", false},
		{"*", "anything.at.all", true}, {"*", "", true},
		{"lab_report.*", "lab_report.completed", true}, {"lab_report.*", "lab_report.", true}, {"lab_report.*", "lab_report", false},
		{"*.failed", "lab_report.failed", true}, {"*.failed", "lab_report.failed.again", false}, {"*.failed", "x.failed.failed", true},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "acb", false}, {"a*a", "a", false}, {"a*a", "aa", true},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "abc", true}, {"a*b*c", "acb", false}, {"**", "x", true}, {"a**b", "ab", true},
		{"user_*", "user_reauth", true}, {"[a]", "a", false}, {"?", "a", false},
	} {
		if got := matchPattern(c.pattern, c.typ); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.typ, got)
		}
	}
	d := Destination{Events: []string{"sleep", "lab_report.*"}}
	if !d.Matches("lab_report.failed") || !d.Matches("sleep") || d.Matches("daily") || !(&Destination{}).Matches("daily") {
		t.Error("Matches is not the list of patterns, or nil is not all")
	}
}
