package webhook

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/seed-51f8da91/fantail/destinations/internal/clienttls"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// Validate reports every fault at once, joined, each beginning with the path
// of its setting. No message shows a value that may be a credential.
func (c Config) Validate() error {
	var faults []error
	at := func(path string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
		}
	}
	u, err := parseURL(c.URL, c.AllowHTTP)
	at("url", err)
	switch c.Signing {
	case signingTerra, signingStandard:
		at("secret", c.checkSecret(c.Secret))
		if !c.NextSecret.IsZero() {
			at("next_secret", c.checkSecret(c.NextSecret))
		}
	default:
		at("signing", fmt.Errorf("must be %s or %s", signingTerra, signingStandard))
	}
	if c.NextSecret.IsZero() && !c.RotateAt.IsZero() {
		at("next_secret", errors.New("is required with rotate_at"))
	}
	if !c.NextSecret.IsZero() && c.RotateAt.IsZero() {
		at("rotate_at", errors.New("is required with next_secret"))
	}
	faults = append(faults, checkHeaders(c.Headers, c.Auth.used())...)
	faults = append(faults, c.Auth.check()...)
	if c.TLS.used() && u != nil && u.Scheme == "http" {
		at("tls", errors.New("has no meaning for an http url"))
	}
	at("tls.server_name", checkServerName(c.TLS.ServerName))
	_, errs := c.TLS.config()
	return errors.Join(append(faults, errs...)...)
}

// ValidateBrand refuses headers that are the engine's under that brand.
func (c Config) ValidateBrand(brand string) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if ofBrand(http.CanonicalHeaderKey(name), brand) {
			faults = append(faults, fmt.Errorf("headers.%s: is set by the engine", name))
		}
	}
	return errors.Join(faults...)
}

// parseURL reads the address to post to. Its errors never show the text.
func parseURL(text string, allowHTTP bool) (*url.URL, error) {
	if text == "" {
		return nil, errors.New("is required")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > 4096:
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must begin with https://")
	case u.User != nil:
		return nil, errors.New("must not hold credentials: move them to auth.basic")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("names no host")
	case strings.Contains(u.Host, "%"):
		return nil, errors.New("must not name a zone")
	case strings.Contains(text, "#"):
		return nil, errors.New("must not have a fragment: it would never be sent")
	case u.Scheme == "http" && !allowHTTP:
		return nil, errors.New("must be https: plain http needs allow_http: true")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has no valid port")
		}
	}
	return u, ascii(u)
}

// ascii gives u the xn-- form of its host. net/http would make it anew for each
// request, and in two ways: they differ for Bücher.example, so that a connection
// of HTTP/2 is kept under another name than it is looked for, and one after the
// other is opened until the attempt's time is up.
func ascii(u *url.URL) error {
	if !strings.ContainsFunc(u.Host, func(r rune) bool { return r >= 0x80 }) {
		return nil
	}
	host, err := idna.Lookup.ToASCII(u.Hostname())
	if err != nil {
		return errors.New("names a host that cannot be")
	}
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	u.Host = host
	return nil
}

func (c Config) checkSecret(s secret.Value) error {
	if s.IsZero() {
		return errors.New("is required: receivers verify the signature with it")
	}
	if c.Signing == signingStandard {
		_, err := signature.ParseSigningKey(s.Reveal())
		return err
	}
	return nil
}

func (a Auth) used() bool { return a.Basic != nil || !a.Bearer.IsZero() }

func (a Auth) check() (faults []error) {
	if a.Basic != nil {
		if !a.Bearer.IsZero() {
			faults = append(faults, errors.New("auth: has basic and bearer: choose one"))
		}
		if a.Basic.User == "" && a.Basic.Password.IsZero() {
			faults = append(faults, errors.New("auth.basic: has neither user nor password"))
		}
		if strings.Contains(a.Basic.User, ":") {
			faults = append(faults, errors.New("auth.basic.user: must not have a colon"))
		}
		if hasControl(a.Basic.User) {
			faults = append(faults, errors.New("auth.basic.user: must not have control characters"))
		}
		if hasControl(a.Basic.Password.Reveal()) {
			faults = append(faults, errors.New("auth.basic.password: must not have control characters, such as a line's end"))
		}
	}
	if strings.ContainsFunc(a.Bearer.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		faults = append(faults, errors.New("auth.bearer: must have visible ASCII characters only, no line's end"))
	}
	return faults
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func checkServerName(name string) error {
	if strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" {
		return errors.New("is not a host name")
	}
	return nil
}

// config builds what crypto/tls needs and names every fault with its path.
func (t TLS) config() (*tls.Config, []error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	return cfg, clienttls.Fill(cfg, t.CA, t.Cert, t.Key)
}
