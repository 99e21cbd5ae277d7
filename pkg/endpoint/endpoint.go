// Package endpoint judges the hosts and URLs that settings name, before anything
// connects to them. Its errors say what is wrong and never show the text, which
// may hold a credential; a caller puts the name of the setting before them.
package endpoint

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxURL is the longest URL that is taken, in bytes.
const maxURL = 4096

// Parse reads the URL of a service: https, or http where allowHTTP says so.
// The result names a host that can be, in ASCII, and a port from 1 to 65535 or
// none, and has neither credentials nor a fragment. Its RequestURI is visible
// ASCII: blanks and what RFC 3986 does not let stand in a path or query are
// percent-encoded, and what is encoded already stays as it is.
func Parse(text string, allowHTTP bool) (*url.URL, error) {
	switch {
	case text == "":
		return nil, errors.New("is required")
	case strings.TrimSpace(text) != text:
		return nil, errors.New("begins or ends with a blank or a line's end")
	case strings.ContainsFunc(text, unicode.IsControl):
		return nil, errors.New("must not have control characters, such as a line's end")
	case len(text) > maxURL || !utf8.ValidString(text):
		return nil, errors.New("is not a URL")
	}
	u, err := url.Parse(encode(text))
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must begin with https://")
	case u.User != nil:
		return nil, errors.New("must not hold credentials: they have settings of their own")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("names no host")
	case strings.Contains(u.Host, "%"):
		return nil, errors.New("must not name a zone")
	case strings.Contains(text, "#"):
		return nil, errors.New("must not have a fragment: it would never be sent")
	case u.Scheme == "http" && !allowHTTP:
		return nil, errors.New("must be https: plain http needs allow_http: true")
	}
	host, port := u.Hostname(), u.Port()
	if host, err = Host(host); err != nil {
		return nil, err
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has no valid port")
		}
		port = ":" + port
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u.Host = host + port
	return u, nil
}

// encode percent-encodes what may not stand in the path and query of a URL,
// once: net/url leaves queries alone, and encodes a path anew from its decoded
// form, in which %2F and / are the same.
func encode(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	host := strings.IndexAny(rest, "/?#")
	if host < 0 {
		return text
	}
	const digits = "0123456789ABCDEF"
	tail := rest[host:]
	out := []byte(scheme + "://" + rest[:host])
	query := false
	for i := range len(tail) {
		c := tail[i]
		query = query || c == '?'
		// In a path, a % that begins no escape stays, and is refused for it.
		if legal(c) && (c != '%' || !query || escape(tail[i:])) {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

// legal tells whether c may stand in a path or query by RFC 3986; brackets may
// not, and everybody lets them pass. A # is there for Parse to refuse.
func legal(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=:@/?[]%#", c) >= 0
}

// escape tells whether text begins with %XX.
func escape(text string) bool {
	if len(text) < 3 {
		return false
	}
	_, err := strconv.ParseUint(text[1:3], 16, 8)
	return err == nil
}
