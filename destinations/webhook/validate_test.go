package webhook

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// bind reads settings as the engine does, but for references.
func bind(text string) (destination.Opener, error) {
	return Definition().Bind(func(into any) error { return yaml.Load([]byte(text), into, yaml.WithKnownFields()) })
}

func TestKind(t *testing.T) {
	d := Definition()
	if d.Kind != "webhook" || d.Traits != (destination.Traits{Frozen: true, Timeout: 30 * time.Second}) {
		t.Errorf("the kind is %q with %+v", d.Kind, d.Traits)
	}
}

func TestSettings(t *testing.T) {
	cert, key := clientCertificate(t)
	_, otherKey := clientCertificate(t)
	block := func(v secret.Value) string { return fmt.Sprintf("%q", v.Reveal()) }
	const base = "{url: 'https://acme.example/hook', secret: s3cret-s3cret, "
	const std = "{url: 'https://acme.example/hook', signing: standard-webhooks, "
	url := func(u string) string { return fmt.Sprintf("{secret: s3cret, url: %q}", u) }
	for _, c := range []struct {
		name, text string
		faults     string // with "; " between, in order; "": valid
	}{
		{"least", "{url: 'https://acme.example/hook', secret: s}", ""},
		{"all", base + `next_secret: n, rotate_at: 2026-07-01T09:12:33Z, hold_on_410: true, signing: terra,
			headers: {X-Env: production, Authorization: ApiKey abc, Cookie: a=b}, tls: {ca: ` + block(cert) + `, cert: ` + block(cert) + `, key: ` + block(key) + `, server_name: acme.internal}}`, ""},
		{"port and query", url("https://acme.example:8443/?a=b"), ""},
		{"address", url("https://[2606:4700::1111]:8443/"), ""},
		{"other script", url("https://b\u00fccher.example/"), ""},
		{"host that no name can be", url("https://\u00fc_b.example/"), "url: names a host that cannot be"},
		{"http allowed", "{url: 'http://acme.example', allow_http: true, secret: s}", ""},
		{"basic", base + "auth: {basic: {user: u, password: 'p:w ü'}}}", ""},
		{"basic without a password", base + "auth: {basic: {user: u}}}", ""},
		{"bearer", base + "auth: {bearer: abc.def~_+/=}}", ""},
		{"standard hmac", std + "secret: " + hmacKey + "}", ""},
		{"standard ed25519", std + "secret: " + ed25519Key + "}", ""},

		{"nothing", "{}", "url: is required; secret: is required"},
		{"no url", "{secret: s}", "url: is required"},
		{"http", url("http://acme.example"), "url: must be https: plain http needs allow_http"},
		{"other scheme", url("ftp://acme.example"), "url: must begin with https://"},
		{"file", url("file:///etc/passwd"), "url: must begin with https://"},
		{"no scheme", url("acme.example/hook"), "url: must begin with https://"},
		{"no host", url("https:///hook"), "url: names no host"},
		{"port only", url("https://:443/hook"), "url: names no host"},
		{"opaque", url("https:acme.example"), "url: names no host"},
		{"credentials", url("https://user:hunter2@acme.example/"), "url: must not hold credentials"},
		{"user", url("https://hunter2@acme.example/"), "url: must not hold credentials"},
		{"empty user", url("https://@acme.example/"), "url: must not hold credentials"},
		{"fragment", url("https://acme.example/#a"), "url: must not have a fragment"},
		{"empty fragment", url("https://acme.example/#"), "url: must not have a fragment"},
		{"zone", url("https://[fe80::1%25eth0]/"), "url: must not name a zone"},
		{"port 0", url("https://acme.example:0/"), "url: has no valid port"},
		{"port 65536", url("https://acme.example:65536/"), "url: has no valid port"},
		{"port by name", url("https://acme.example:https/"), "url: is not a URL"},
		{"space in host", url("https://acme example/"), "url: is not a URL"},
		{"line end", url("https://acme.example/\r\nHost: x"), "url: must not have control characters"},
		{"blank at the end", url("https://acme.example/ "), "url: begins or ends with a blank"},
		{"empty label", url("https://hunter2..example/"), "url: names a host that cannot be: there is nothing between"},
		{"long label", url("https://" + strings.Repeat("a", 64) + ".example/"), "url: names a host that cannot be: there are more than 63"},
		{"wildcard", url("https://*.hunter2.example/"), "url: names a host that cannot be: a name has"},
		{"half an address", url("https://127.1/"), "url: names a host that cannot be: it ends with a number"},
		{"server name that cannot be", base + "tls: {server_name: a..b}}", "tls.server_name: names a host that cannot be"},
		{"blank and other script in path and query", url("https://acme.example/a b\u00fc?c=d e\u00fc"), ""},
		{"bad escape", url("https://acme.example/%zz?hunter2"), "url: is not a URL"},
		{"endless", url("https://acme.example/" + strings.Repeat("a", 5000)), "url: is not a URL"},

		{"empty secret", "{url: 'https://acme.example', secret: ''}", "secret: is required"},
		{"next without a time", base + "next_secret: n}", "rotate_at: is required with next_secret"},
		{"time without next", base + "rotate_at: 2026-07-01T09:12:33Z}", "next_secret: is required with rotate_at"},
		{"signing", base + "signing: hunter2}", "signing: must be terra or standard-webhooks"},
		{"standard needs a key", std + "secret: hunter2}", "secret: parse signing key"},
		{"standard needs next keys", std + "secret: " + hmacKey + ", next_secret: hunter2, rotate_at: 2026-07-01T09:12:33Z}", "next_secret: parse signing key"},
		{"standard public key", std + "secret: whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=}", "secret: parse signing key"},

		{"basic and bearer", base + "auth: {basic: {user: u}, bearer: b}}", "auth: has basic and bearer"},
		{"basic empty", base + "auth: {basic: {}}}", "auth.basic: has neither user nor password"},
		{"colon in user", base + "auth: {basic: {user: 'a:b'}}}", "auth.basic.user: must not have a colon"},
		{"control in user", base + `auth: {basic: {user: "a\nb"}}}`, "auth.basic.user: must not have control characters"},
		{"line end in password", base + `auth: {basic: {user: u, password: "hunter2\n"}}}`, "auth.basic.password: must not have control characters"},
		{"line end in token", base + `auth: {bearer: "hunter2\n"}}`, "auth.bearer: must have visible ASCII characters only"},
		{"space in token", base + `auth: {bearer: "hunter2 x"}}`, "auth.bearer: must have visible ASCII characters only"},
		{"header beside auth", base + `auth: {bearer: b}, headers: {authorization: x}}`, "headers.authorization: is set by auth"},

		{"ca", base + "tls: {ca: hunter2}}", "tls.ca: holds no certificate"},
		{"ca is a key", base + "tls: {ca: " + block(key) + "}}", "tls.ca: holds no certificate"},
		{"cert without key", base + "tls: {cert: " + block(cert) + "}}", "tls.key: is required with tls.cert"},
		{"key without cert", base + "tls: {key: " + block(key) + "}}", "tls.cert: is required with tls.key"},
		{"key of another", base + "tls: {cert: " + block(cert) + ", key: " + block(otherKey) + "}}", "tls.cert: is no certificate in PEM form, or tls.key is not its key"},
		{"server name", base + "tls: {server_name: 'a b'}}", "tls.server_name: names a host that cannot be"},
		{"tls for http", "{url: 'http://acme.example', allow_http: true, secret: s, tls: {server_name: a}}", "tls: has no meaning for an http url"},

		{"everything at once", "{url: 'http://u:hunter2@acme.example', signing: x, rotate_at: 2026-07-01T09:12:33Z, headers: {Host: x, Content-Type: y}, auth: {basic: {user: 'a:b'}}, tls: {ca: x, key: y}}",
			"url: must not; signing: must; next_secret: is required; headers.Content-Type: describes; headers.Host: is made; auth.basic.user: must; tls.ca: holds; tls.cert: is required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := bind(c.text)
			if c.faults == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			lines, want := strings.Split(err.Error(), "\n"), strings.Split(c.faults, "; ")
			if len(lines) != len(want) {
				t.Fatalf("%d faults, want %d:\n%v", len(lines), len(want), err)
			}
			for i := range want {
				if !strings.HasPrefix(lines[i], want[i]) {
					t.Errorf("fault %d is %q, want %q...", i+1, lines[i], want[i])
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the fault shows a value: %v", err)
			}
		})
	}
}

func TestHeaderSettings(t *testing.T) {
	for _, c := range []struct{ name, value, fault string }{
		{"X-Env", "production", ""},
		{"x-lower", "v", ""},
		{"Authorization", "ApiKey abc", ""},
		{"Cookie", "a=b; c=d", ""},
		{"Accept", "text/plain", ""},
		{"Idempotency-Key", "k", ""},
		{"X-Text", "tab\tand ümlaut", ""},
		{"X-Forwarded-For", "10.0.0.1", ""},
		{"Terrace", "v", ""},
		{"X-Terrace", "v", ""},
		{"!#$%&'*+-.^_`|~09azAZ", "v", ""},

		{"Host", "x", "is made from url"},
		{"hOsT", "x", "is made from url"},
		{"Connection", "close", "belongs to the connection"},
		{"Keep-Alive", "timeout=5", "belongs to the connection"},
		{"Proxy-Connection", "x", "belongs to the connection"},
		{"Proxy-Authorization", "x", "belongs to the connection"},
		{"Proxy-Authenticate", "x", "belongs to the connection"},
		{"TE", "trailers", "belongs to the connection"},
		{"Trailer", "X", "belongs to the connection"},
		{"Transfer-Encoding", "chunked", "belongs to the connection"},
		{"Upgrade", "h2c", "belongs to the connection"},
		{"HTTP2-Settings", "x", "belongs to the connection"},
		{"Expect", "100-continue", "changes how the body is sent"},
		{"Accept-Encoding", "gzip", "excerpt"},
		{"Content-Type", "text/plain", "describes the body"},
		{"content-length", "0", "describes the body"},
		{"Content-Encoding", "gzip", "describes the body"},
		{"Content-Anything", "x", "describes the body"},
		{"User-Agent", "Mozilla", "names the engine"},
		{"dev-id", "other", "is set by the engine"},
		{"Hook-Type", "x", "is set by the engine"},
		{"terra-signature", "t=1,v1=0", "is set by the engine"},
		{"TERRA-REFERENCE", "x", "is set by the engine"},
		{"terra-anything", "x", "is set by the engine"},
		{"x-terra-signature", "x", "is set by the engine"},
		{"X-Terra-Trace-Id", "x", "is set by the engine"},
		{"webhook-id", "x", "is set by the engine"},
		{"Webhook-Signature", "x", "is set by the engine"},
		{"X-Empty", "", "is empty"},
		{"X-CR", "a\rb", "control characters"},
		{"X-LF", "a\nTerra-Signature: b", "control characters"},
		{"X-NUL", "a\x00b", "control characters"},
		{"X-DEL", "a\x7fb", "control characters"},
		{"", "x", "is not the name of a header"},
		{"X Space", "x", "is not the name of a header"},
		{"X-Colon:", "x", "is not the name of a header"},
		{":authority", "x", "is not the name of a header"},
		{"X-LF\r\nY", "x", "is not the name of a header"},
		{"X-\u00fc", "x", "is not the name of a header"},
		{"X-K\u212a", "x", "is not the name of a header"}, // folds to K
	} {
		t.Run(fmt.Sprintf("%q", c.name), func(t *testing.T) {
			faults := checkHeaders(map[string]secret.Value{c.name: secret.New(c.value)}, false)
			switch {
			case c.fault == "" && len(faults) > 0:
				t.Errorf("refused: %v", faults)
			case c.fault != "" && (len(faults) != 1 || !strings.Contains(faults[0].Error(), c.fault)):
				t.Errorf("faults %v, want one with %q", faults, c.fault)
			}
		})
	}
	many := map[string]secret.Value{}
	for i := range maxHeaders + 1 {
		many[fmt.Sprintf("X-%d", i)] = secret.New("v")
	}
	for name, headers := range map[string]map[string]secret.Value{
		"too many":    many,
		"too long":    {"X-Long": secret.New(strings.Repeat("x", maxHeaderBytes))},
		"the same":    {"X-Same": secret.New("1"), "x-same": secret.New("2")},
		"two at once": {"Host": secret.New("x")},
	} {
		if faults := checkHeaders(headers, false); len(faults) != 1 {
			t.Errorf("%s: faults %v, want one", name, faults)
		}
	}
}

func TestUnknownKeysAreRefused(t *testing.T) {
	for _, text := range []string{"{url: 'https://a.example', secret: s, sekret: x}", "{url: 'https://a.example', secret: s, auth: {digest: x}}", "{url: 'https://a.example', secret: s, tls: {insecure: true}}"} {
		if _, err := bind(text); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}

func TestConfigPrintsNoSecrets(t *testing.T) {
	c := settings()
	c.Headers = map[string]secret.Value{"X-Custom": secret.New(testHeader)}
	c.Auth = Auth{Basic: &Basic{User: "u", Password: secret.New(testPassword)}, Bearer: secret.New(testToken)}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		text := fmt.Sprintf(verb, c)
		for _, s := range []string{testSecret, testHeader, testPassword, testToken} {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %q: %s", verb, s, text)
			}
		}
	}
}

func TestServerNameInAnotherScript(t *testing.T) {
	if c, faults := (TLS{ServerName: "b\u00fccher.example"}).config(); len(faults) > 0 || c.ServerName != "xn--bcher-kva.example" {
		t.Errorf("%q, %v", c.ServerName, faults)
	}
}

// TestTheRequestLineIsVisibleASCII: what is sent is what the request line may
// hold, and what a receiver's own rules look at stays as it was written.
func TestTheRequestLineIsVisibleASCII(t *testing.T) {
	for text, want := range map[string]string{
		"https://acme.example":                    "acme.example /",
		"https://acme.example/a b?c=d e":          "acme.example /a%20b?c=d%20e",
		"https://acme.example/\u00fc?\u00fc":      "acme.example /%C3%BC?%C3%BC",
		"https://acme.example/a%2Fb;c+d?e=%2F;f+": "acme.example /a%2Fb;c+d?e=%2F;f+",
		"https://acme.example/a b%2Fc":            "acme.example /a%20b%2Fc",
		"https://B\u00fccher.example:8443/":       "xn--bcher-kva.example:8443 /",
	} {
		u, err := parseURL(text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := u.Host + " " + u.RequestURI(); got != want {
			t.Errorf("%s is sent to %s, want %s", text, got, want)
		}
	}
}

func TestNotesAreAboutShortSecrets(t *testing.T) {
	for _, c := range []struct {
		signing, secret, next string
		want                  []string
	}{
		{"terra", "0123456789abcdef", "", nil},
		{"terra", "s", "", []string{"secret"}},
		{"terra", "hunter2hunter2", "hunter2", []string{"secret", "next_secret"}},
		{"terra", "", "", nil}, // Validate's
		{"standard-webhooks", "hunter2", "", nil},
	} {
		notes := Config{Signing: c.signing, Secret: secret.New(c.secret), NextSecret: secret.New(c.next)}.Notes()
		if len(notes) != len(c.want) {
			t.Errorf("%+v: %q", c, notes)
			continue
		}
		for i, path := range c.want {
			if !strings.HasPrefix(notes[i], path+": has fewer than 16 characters") || strings.Contains(notes[i], "hunter2") {
				t.Errorf("%+v: %q", c, notes)
			}
		}
	}
}
