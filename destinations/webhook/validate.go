package webhook

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/pkg/endpoint"

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
	_, errs := c.TLS.config()
	return errors.Join(append(faults, errs...)...)
}

// minSecret is how many characters a secret should have at least: whoever sees
// one signed request can try secrets against it at home.
const minSecret = 16

// Notes is about secrets that can be found by trying. Keys of Standard Webhooks
// have a length that Validate asks for.
func (c Config) Notes() (notes []string) {
	for _, s := range []struct {
		path  string
		value secret.Value
	}{{"secret", c.Secret}, {"next_secret", c.NextSecret}} {
		if n := utf8.RuneCountInString(s.value.Reveal()); c.Signing == signingTerra && n > 0 && n < minSecret {
			notes = append(notes, s.path+": has fewer than 16 characters: whoever has one signed request can find it by trying; make one with `openssl rand -hex 32`")
		}
	}
	return notes
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

// parseURL reads the address to post to. Its RequestURI is visible ASCII.
func parseURL(text string, allowHTTP bool) (*url.URL, error) { return endpoint.Parse(text, allowHTTP) }

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

// config builds what crypto/tls needs and names every fault with its path.
func (t TLS) config() (*tls.Config, []error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	var faults []error
	if t.ServerName != "" {
		var err error
		if cfg.ServerName, err = endpoint.Host(t.ServerName); err != nil {
			faults = append(faults, fmt.Errorf("tls.server_name: %w", err))
		}
	}
	return cfg, append(faults, clienttls.Fill(cfg, t.CA, t.Cert, t.Key)...)
}
