package endpoint

import (
	"strings"
	"testing"
)

// form is what a request to a URL is made of.
func form(t *testing.T, text string) (host, uri string) {
	t.Helper()
	u, err := Parse(text, true)
	if err != nil {
		t.Errorf("%q: %v", text, err)
		return "", ""
	}
	return u.Host, u.RequestURI()
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example":             "a.example /",
		"https://a.example/":            "a.example /",
		"https://a.example?":            "a.example /?",
		"https://a.example?a=b":         "a.example /?a=b",
		"HTTPS://A.example:8443/x":      "A.example:8443 /x",
		"https://a.example:/x":          "a.example /x",
		"https://a.example./x":          "a.example. /x",
		"https://[2606:4700::1111]:1/x": "[2606:4700::1111]:1 /x",
		"https://[2606:4700::1111]/x":   "[2606:4700::1111] /x",
		"https://192.0.2.1/x":           "192.0.2.1 /x",
		"https://b\u00fccher.example/x": "xn--bcher-kva.example /x",
		"https://B\u00fccher.example:1": "xn--bcher-kva.example:1 /",

		// What may stand there stays, and what is encoded already.
		"https://a.example/a%2Fb/%e4;v=1,2+3@:~!$&'()*=[]": "a.example /a%2Fb/%e4;v=1,2+3@:~!$&'()*=[]",
		"https://a.example//a/../b/./":                     "a.example //a/../b/./",
		"https://a.example/x?a=%2F+;b&c=?/:@[]&&=":         "a.example /x?a=%2F+;b&c=?/:@[]&&=",
		"https://a.example/x?a=%25&b=%zz&c=%&d=%4":         "a.example /x?a=%25&b=%25zz&c=%25&d=%254",

		// The rest is encoded, once.
		"https://a.example/a b":                     "a.example /a%20b",
		"https://a.example/a b%2Fc%20d":             "a.example /a%20b%2Fc%20d",
		"https://a.example/x?a=b c":                 "a.example /x?a=b%20c",
		"https://a.example/\u00fc?\u00fc=\u20ac":    "a.example /%C3%BC?%C3%BC=%E2%82%AC",
		"https://a.example/\"<>\\^`{|}?\"<>\\^`{|}": "a.example /%22%3C%3E%5C%5E%60%7B%7C%7D?%22%3C%3E%5C%5E%60%7B%7C%7D",
		"https://a.example/\u202e\u200b?\u2028x":    "a.example /%E2%80%AE%E2%80%8B?%E2%80%A8x",
		"https://a.example/\u3000x":                 "a.example /%E3%80%80x",
	} {
		host, uri := form(t, text)
		if got := host + " " + uri; got != want {
			t.Errorf("%q is sent to %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"":                                                 "is required",
		" https://a.example":                               "begins or ends with a blank",
		"https://a.example/x ":                             "begins or ends with a blank",
		"https://a.example/x\u00a0":                        "begins or ends with a blank",
		"https://a.example/x\n":                            "begins or ends with a blank",
		"https://a.example/\tx":                            "must not have control characters",
		"https://a.example/x?a\r\nHost:b":                  "must not have control characters",
		"https://a.example/x\x00y":                         "must not have control characters",
		"https://a.example/x\x7fy":                         "must not have control characters",
		"https://a.example/x\u0085y":                       "must not have control characters",
		"https://a.example/%zz":                            "is not a URL",
		"https://a.example/%":                              "is not a URL",
		"https://a.example/\xff":                           "is not a URL",
		"https://a example/":                               "is not a URL",
		"https://a.example:x/":                             "is not a URL",
		"https://a.example/" + strings.Repeat("x", maxURL): "is not a URL",
		"a.example/x":                                      "must begin with https://",
		"ftp://a.example":                                  "must begin with https://",
		"https:a.example":                                  "names no host",
		"https:///x":                                       "names no host",
		"https://:1/x":                                     "names no host",
		"https://hunter2@a.example":                        "must not hold credentials",
		"https://[fe80::1%25eth0]/":                        "must not name a zone",
		"https://a.example/#":                              "must not have a fragment",
		"https://a.example:0":                              "has no valid port",
		"https://a.example:65536":                          "has no valid port",
		"https://a..b/hunter2":                             "names a host that cannot be: there is nothing between",
		"https://*.hunter2.example/":                       "names a host that cannot be: a name has",
		"https://[a.example]/":                             "is not a URL",
		"https://[192.0.2.1]/":                             "is not a URL",
		"https://127.1/":                                   "names a host that cannot be: it ends with a number",
		"https://\u00fc_b.example/":                        "names a host that cannot be",
		"https://\u00fc..b.example/":                       "names a host that cannot be",
		"https://\uff0a.b\u00fc.com/":                      "names a host that cannot be",
	} {
		if _, err := Parse(text, true); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := Parse("http://a.example", false); err == nil || !strings.Contains(err.Error(), "allow_http") {
		t.Errorf("plain http: %v", err)
	}
}

func TestHost(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, strings.Repeat("b", 61)}, ".")
	for name, want := range map[string]string{
		"a": "a", "a.example": "a.example", "A-1.b-2.Example.": "A-1.b-2.Example.", "localhost": "localhost", "my_service": "my_service", "_x.y": "_x.y",
		"1.example": "1.example", "1a": "1a", "xn--bcher-kva.example": "xn--bcher-kva.example", "a--b.example": "a--b.example", "0xg": "0xg",
		"192.0.2.1": "192.0.2.1", "::1": "::1", "2001:db8::1": "2001:db8::1", "::ffff:192.0.2.1": "::ffff:192.0.2.1",
		"b\u00fccher.example": "xn--bcher-kva.example", "\uff41.example": "a.example", "\uff11\uff19\uff12.0.2.1": "192.0.2.1",
		label + ".example": label + ".example", long: long, long + ".": long + ".",
	} {
		if got, err := Host(name); got != want {
			t.Errorf("%q is %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{
		"", ".", "..", ".a", "a..b", "a..", label + "a.example", long + "b", "-a.example", "a-.example", "a.-example", "a.example-", "-",
		"*", "*.x", "a*b.x", "a b", "a/b", "/var/run/x", "a:b", "a@b", "[::1]", "::1%eth0", "fe80::1%1", "a%62", "a,b", "a\x00b", "a\nb", "a'b", "a\\b",
		"1", "127.1", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "0x7f.1", "0x7f000001", "2130706433", "a.1", "a.0xff", "a.1.",
		"\u00fc_b.example", "-\u00fc.example", "\u00fc" + label + ".example", "\u200b.example", "a\u3002\u3002b",
	} {
		if got, err := Host(name); err == nil || !strings.HasPrefix(err.Error(), "names a host that cannot be: ") || got != "" {
			t.Errorf("%q is %q, %v", name, got, err)
		}
	}
}

// FuzzParse: whatever is taken makes a request line of visible ASCII to a host
// that can be, and comes out the same when it is read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"https://a.example/a b%2Fc?d=e f%&\u00fc#", "http://[::1]:80/x", "https://b\u00fccher.example:1?;+", "https://a.example/%zz?%zz", "https://a..b/%",
		"https://a.example/\"{|}^`\\<>[]", "HTTPS://A.example.:443//?", "https:x", "https://x:/://#",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse(text, true)
		if err != nil {
			return
		}
		line := u.RequestURI() + u.Host
		if strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || !strings.HasPrefix(line, "/") {
			t.Errorf("%q makes %q", text, line)
		}
		if host, err := Host(u.Hostname()); err != nil || host != u.Hostname() {
			t.Errorf("%q leads to %q, %v", text, host, err)
		}
		again, err := Parse(u.String(), true)
		if err != nil || again.RequestURI() != u.RequestURI() || again.Host != u.Host {
			t.Errorf("%q is %q, then %v, %v", text, u, again, err)
		}
	})
}
