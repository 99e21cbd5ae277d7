package webhook

import (
	"net/url"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func TestConformance(t *testing.T) {
	bearer := func(c *Config) {
		c.Auth = Auth{Bearer: secret.New(testToken)}
		c.Headers = map[string]secret.Value{"X-Custom": secret.New(testHeader)}
		c.HoldOn410 = true
	}
	t.Run("http", func(t *testing.T) { destinationtest.Run(t, kind(false, bearer)) })
	t.Run("https", func(t *testing.T) {
		destinationtest.Run(t, kind(true, func(c *Config) {
			c.Auth = Auth{Basic: &Basic{User: "user", Password: secret.New(testPassword)}}
			c.Headers = map[string]secret.Value{"X-Custom": secret.New(testHeader)}
			c.HoldOn410 = true
			cert, key := clientCertificate(t)
			c.TLS.Cert, c.TLS.Key = cert, key
		}))
	})
	t.Run("standard webhooks", func(t *testing.T) {
		destinationtest.Run(t, kind(false, func(c *Config) {
			bearer(c)
			c.Signing = signingStandard
			c.Secret = secret.New(hmacKey)
			c.NextSecret = secret.New(ed25519Key)
			c.RotateAt = time.Now().Add(time.Hour)
		}))
	})
}

func kind(secure bool, config func(*Config)) destinationtest.Kind {
	return destinationtest.Kind{
		Start: func(tb testing.TB) destinationtest.FarSide {
			r := newReceiver(tb, secure)
			r.config = config
			return r
		},
		Secrets: []string{
			testSecret, testToken, testHeader, testPassword, url.QueryEscape(testPassword), testQuery,
			hmacKey, ed25519Key, hmacKey[len("whsec_"):], ed25519Key[len("whsk_"):],
		},
		Failures: []destinationtest.Failure{
			{Name: "302 to metadata"},
			{Name: "400"},
			{Name: "401"},
			{Name: "404"},
			{Name: "413"},
			{Name: "429"},
			{Name: "429 waits", Class: destination.Throttled, Wait: 7 * time.Second},
			{Name: "500"},
			{Name: "503"},
			{Name: "503 waits", Class: destination.Throttled, Wait: 7 * time.Second},
			{Name: "410", Class: destination.Misconfigured},
			{Name: "500 with an echo"},
			{Name: "500 with an echo at the cut"},
			{Name: "500 with 5 KiB"},
			{Name: "500 with 1 MiB", Breaks: true},
			{Name: "garbage with an echo", Breaks: true},
			{Name: "hang up", Breaks: true},
		},
		Repeat: func(_ testing.TB, far destinationtest.FarSide, as func(...string) string) {
			r := far.(*receiver)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.repeat = as
		},
		Requests:    func(tb testing.TB, far destinationtest.FarSide) int { return far.(*receiver).count(tb) },
		Connections: 1,
		Checks:      true, Connects: true,
		Explains: true,
	}
}
