package gcp

import (
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func TestAccessIsRefusedWithAReason(t *testing.T) {
	g := gcptest.Start(t)
	var sound map[string]string
	if err := json.Unmarshal([]byte(g.Account(t, "a")), &sound); err != nil {
		t.Fatal(err)
	}
	with := func(name, value string) secret.Value {
		f := maps.Clone(sound)
		f[name] = value
		if value == "-" {
			delete(f, name)
		}
		b, _ := json.Marshal(f)
		return secret.New(string(b))
	}
	https := with("token_uri", "https://oauth2.googleapis.com/token")
	for _, c := range []struct {
		name string
		a    Access
		want string // "": sound
	}{
		{"a key", Access{Credentials: https}, ""},
		{"a key without token_uri", Access{Credentials: with("token_uri", "-")}, ""},
		{"the operator's own", Access{}, ""},
		{"the operator's own at a private endpoint", Access{Endpoint: "https://storage-x.p.googleapis.com"}, ""},
		{"an emulator", Access{Endpoint: "http://127.0.0.1:4443", AllowHTTP: true, Anonymous: true}, ""},
		{"an emulator, with links", Access{Credentials: https, Endpoint: "http://127.0.0.1:4443/", AllowHTTP: true, Anonymous: true}, ""},

		{"no JSON", Access{Credentials: secret.New("hunter2")}, "credentials: is not the JSON key"},
		{"too much", Access{Credentials: secret.New("{" + strings.Repeat(" ", 70000) + "}")}, "credentials: is not the JSON key"},
		{"a user", Access{Credentials: with("type", "authorized_user")}, "credentials: must be of type service_account"},
		{"a program to run", Access{Credentials: secret.New(`{"type":"external_account","credential_source":{"executable":{"command":"id"}}}`)}, "must be of type service_account"},
		{"no type", Access{Credentials: with("type", "-")}, "must be of type service_account"},
		{"no e-mail", Access{Credentials: with("client_email", "")}, "client_email"},
		{"an e-mail with a line's end", Access{Credentials: with("client_email", "a@b\nc")}, "client_email"},
		{"no private key", Access{Credentials: with("private_key", "hunter2")}, "private_key"},
		{"a small key", Access{Credentials: with("private_key", small)}, "2048 bits"},
		{"a large key", Access{Credentials: with("private_key", large(t))}, "private_key is an RSA key of 65536 bits: at most 8192 are taken"},
		{"another universe", Access{Credentials: with("universe_domain", "example.com")}, "universe_domain"},
		{"tokens over plain http", Access{Credentials: with("token_uri", "http://a.example/token")}, "token_uri must be https"},
		{"tokens from a file", Access{Credentials: with("token_uri", "file:///etc/passwd")}, "token_uri must begin with https"},
		{"tokens with credentials", Access{Credentials: with("token_uri", "https://hunter2@a.example/")}, "token_uri must not hold credentials"},

		{"endpoint over plain http", Access{Credentials: https, Endpoint: "http://a.example"}, "endpoint: must be https"},
		{"endpoint with a path", Access{Credentials: https, Endpoint: "https://a.example/storage"}, "endpoint: must be a scheme and a host only"},
		{"endpoint with credentials", Access{Credentials: https, Endpoint: "https://hunter2@a.example"}, "endpoint: must not hold credentials"},
		{"endpoint without a scheme", Access{Credentials: https, Endpoint: "a.example"}, "endpoint: must begin with https"},
		{"endpoint without a host", Access{Credentials: https, Endpoint: "https://"}, "endpoint: names no host"},
		{"endpoint in another script", Access{Credentials: https, Endpoint: "https://müller.example"}, ""},
		{"endpoint with a zone", Access{Credentials: https, Endpoint: "https://[fe80::1%25lo]"}, "endpoint: must not name a zone"},
		{"endpoint at a host that cannot be", Access{Credentials: https, Endpoint: "https://a..example"}, "endpoint: names a host that cannot be"},
		{"tokens of a host that cannot be", Access{Credentials: with("token_uri", "https://-a.example/token")}, "token_uri names a host that cannot be"},
		{"endpoint on port 0", Access{Credentials: https, Endpoint: "https://a.example:0"}, "endpoint: has no valid port"},
		{"the operator's own, elsewhere", Access{Endpoint: "https://a.example"}, "sent nowhere else"},
		{"the operator's own, almost at Google", Access{Endpoint: "https://evilgoogleapis.com"}, "sent nowhere else"},
		{"the operator's own, in the clear", Access{Endpoint: "http://storage.googleapis.com", AllowHTTP: true}, "sent nowhere else"},
		{"nobody, at Google", Access{Anonymous: true}, "anonymous: is for an emulator"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.a.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), sound["private_key"][60:100])) {
				t.Errorf("%v shows a secret", err)
			}
		})
	}
}

// large has the form of an RSA key of 65,536 bits.
func large(t *testing.T) string {
	t.Helper()
	n := new(big.Int).SetBit(big.NewInt(1), 1<<16-1, 1)
	one := big.NewInt(1)
	der, err := asn1.Marshal(struct {
		Version                int
		N, E, D, P, Q, A, B, C *big.Int
	}{0, n, big.NewInt(65537), n, one, one, one, one, one})
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
}

// small is an RSA key of 1024 bits, made for this test.
const small = `-----BEGIN RSA PRIVATE KEY-----
MIICXAIBAAKBgQDHE3QHU3Q+BTWjWqUbwHzLPY2JP2KQaRLlsKBXH63NNcbg7otv
2mUyTF/DpzOa270rDGyrzZH+TYXZt/3zn8ZlGyjWHTE6oG59W3XFdPYRpJcoE2HA
5yFphz1dVB4e+CYC6vjKF0ujnc4/2VhfsUv4N4+I+F2zHESYXF4Xz+/BmwIDAQAB
AoGAA/nqfl73WmnGOX4NADHnDDQtiIlAkbvXicjuWu8iDJA/aay6EkDddpS58PF9
AWHUNHDqFsBjYx3vR3r6UoxlbQSKHoNU7IoZ1KDaikHqrLkRi8bqXikwrkq++LgA
753crw6j1gipWLYTGE9U9lb8uzcljsntT2apdtG+a2Bq2gkCQQDjqVg2JsDXaWU1
JaWUVs4A267ld/J5MbzHCOgEelWKQvj2hrkl3ei7FkJMolW2iJ7T4PfyODKiWN8A
/5D/8qk3AkEA39s0FbJMmpj/X8cCQdVP0KkevHRzL2KTPkuj3IRf3IUudoUZpXky
GbYntYgk+luobFTQGRjr2WKJNMuhcRfMvQJBAKeN+VhRiViBP3WwMX9Nq+xBwyUr
9I9yJcgvK+QvzUknJWj7msTd3+3h4gXY7FCdmJfEWXgyGEIYOnjXn3ZguF0CQHOO
rbFxjDfWOSYRDmo7mmslkndISdmxMj9bPqhsMSweGCEYjmesS5+YN6FvOV+AB058
7bu28LEUO63kXF+MIKUCQExBIqDq8R8gCWLF8aSL/8WnRELUr53iUulyAW3nswg8
dIvqlDoxkmWxt+rvyYXpFsaTdLnXU3K0ASWWMsdjuu4=
-----END RSA PRIVATE KEY-----
`

func TestOnlyNoCredentialsAtAllAreTheOperators(t *testing.T) {
	for want, all := range map[bool][]Access{
		true:  {{}, {Endpoint: "https://storage.googleapis.com"}},
		false: {{Credentials: secret.New("x")}, {Anonymous: true}, {Credentials: secret.New("x"), Anonymous: true}},
	} {
		for _, a := range all {
			if a.NeedsAmbient() != want {
				t.Errorf("%+v: %v", a, !want)
			}
		}
	}
}

func TestTheOperatorsCredentialsNeedTheirPermission(t *testing.T) {
	g := gcptest.Start(t)
	for _, permit := range []func(*destination.Deps){
		func(d *destination.Deps) { d.Ambient = false },
		func(d *destination.Deps) { d.Ambient, d.Metadata = true, nil },
	} {
		deps := g.Deps(t)
		permit(&deps)
		if _, err := Open(Access{}, deps); err == nil || !strings.Contains(err.Error(), "ambient in fantail.yaml") {
			t.Errorf("%v, want that the operator must permit it", err)
		}
	}
	deps := g.Deps(t)
	deps.Ambient = true
	if _, err := Open(Access{Endpoint: g.URL, AllowHTTP: true}, deps); err == nil {
		t.Error("the operator's credentials were meant for somebody's endpoint")
	}
}

func TestBucketNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"acme": true, "a.b-c_d.example": true, "": false, "ab": false, "gs://acme": false, "acme/x": false,
		"Acme": false, "-acme": false, "acme-": false, "a?b": false, strings.Repeat("a", 223): false,
	} {
		if err := ValidateBucket(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestKMSKeys(t *testing.T) {
	for name, ok := range map[string]bool{
		"": true, "projects/p/locations/eu/keyRings/r/cryptoKeys/k": true,
		"k": false, "projects/p/locations/eu/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1": false,
	} {
		if err := ValidateKMSKey(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAClientShowsNoSecrets(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, access(t, g), g.Deps(t))
	if _, err := c.Put(t.Context(), Object{Bucket: "acme", Name: "x", Body: []byte("{}")}, Absent); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, s := range g.Secrets(t) {
			if text := fmt.Sprintf(verb, c) + fmt.Sprintf(verb, access(t, g)); strings.Contains(text, s) {
				t.Errorf("%s shows %q", verb, s)
			}
		}
	}
}
