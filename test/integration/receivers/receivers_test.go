// Package receivers tests our signatures with the libraries that receivers really use, each in the
// version that package.json names.
package receivers

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// check is one case of verify.mjs, with what is expected of it.
type check struct {
	Library   string `json:"library"`
	Secret    string `json:"secret"`
	Body      []byte `json:"body"` // base64 on the way
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Header    string `json:"header"`

	name string
	want bool
}

func TestTerraLibrariesVerifyOurs(t *testing.T) {
	at := time.Now() // the libraries read the clock
	var checks []check
	for _, b := range bodies(t) {
		for _, secret := range []string{"66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36", "pässwörd ✓ \\ \"", strings.Repeat("long ", 40)} {
			header := signature.Sign(secret, at, b.body)
			late := signature.Sign(secret, at.Add(-signature.Tolerance-time.Minute), b.body)
			for _, library := range []string{"terra-api-1", "terra-api-2"} {
				c := check{Library: library, Secret: secret, Body: b.body, Header: header, want: true, name: b.name}
				checks = append(checks, c,
					c.but("body changed", func(c *check) { c.Body = changed(c.Body) }),
					c.but("byte more", func(c *check) { c.Body = append(bytes.Clone(c.Body), '\n') }),
					c.but("byte less", func(c *check) { c.Body = c.Body[:len(c.Body)-1] }),
					c.but("another secret", func(c *check) { c.Secret += "x" }),
					c.but("another time", func(c *check) {
						c.Header = strings.Replace(c.Header, strconv.FormatInt(at.Unix(), 10), strconv.FormatInt(at.Unix()+1, 10), 1)
					}),
					c.but("another sum", func(c *check) { c.Header = string(changed([]byte(c.Header))) }),
					// Version 1.4.8 does not check the time.
					c.but("too old", func(c *check) { c.Header, c.want = late, library == "terra-api-1" }),
				)
			}
		}
	}
	verify(t, checks)
}

func TestStandardWebhooksLibraryVerifiesOurs(t *testing.T) {
	const current, next = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	pair := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	private := "whsk_" + base64.StdEncoding.EncodeToString(pair)
	public := "whpk_" + base64.StdEncoding.EncodeToString(pair[ed25519.SeedSize:])
	var keys []signature.SigningKey
	for _, text := range []string{next, private, current} {
		k, err := signature.ParseSigningKey(text)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	at := time.Now()
	old := at.Add(-signature.Tolerance - time.Minute)
	const id = "019f1cfd-c003-7abc-8123-456789abcdef_7"
	var checks []check
	for _, b := range bodies(t) {
		c := check{Body: b.body, ID: id, Timestamp: strconv.FormatInt(at.Unix(), 10), Header: signature.SignStandard(keys, id, at, b.body), want: true}
		for library, secrets := range map[string][]string{"standardwebhooks": {current, next}, "ed25519": {public}} {
			for _, secret := range secrets {
				c.Library, c.Secret, c.name = library, secret, b.name
				checks = append(checks, c,
					c.but("body changed", func(c *check) { c.Body = changed(c.Body) }),
					c.but("byte less", func(c *check) { c.Body = c.Body[:len(c.Body)-1] }),
					c.but("another id", func(c *check) { c.ID += "1" }),
					c.but("another time", func(c *check) { c.Timestamp = strconv.FormatInt(at.Unix()+1, 10) }),
					c.but("the other scheme", func(c *check) {
						c.Header = strings.NewReplacer("v1,", "v1a,", "v1a,", "v1,").Replace(c.Header)
					}),
				)
				if library == "standardwebhooks" {
					checks = append(checks, c.but("too old", func(c *check) {
						c.Timestamp, c.Header = strconv.FormatInt(old.Unix(), 10), signature.SignStandard(keys, id, old, b.body)
					}))
				}
			}
		}
	}
	verify(t, checks)
}

// but returns the case with one thing wrong; it is expected to be refused.
func (c check) but(what string, change func(*check)) check {
	c.name, c.want = fmt.Sprintf("%s, %s", c.name, what), false
	change(&c)
	return c
}

// changed returns b with its last byte changed, still as UTF-8.
func changed(b []byte) []byte {
	b = bytes.Clone(b)
	if b[len(b)-1] == '0' {
		b[len(b)-1] = '1'
	} else {
		b[len(b)-1] = '0'
	}
	return b
}
