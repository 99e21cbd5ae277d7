package aws

import (
	"net/http"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// plainDeps lends the loopback without a guard.
func plainDeps(tb testing.TB) destination.Deps {
	return destination.Deps{HTTP: exchangetest.Client(tb, nil, nil).HTTP(), UserAgent: "Fantail/test"}
}

// strictSettings are those of a user of s.
func strictSettings(s *strictaws.Server) Settings {
	return Settings{
		Region: s.Region, Endpoint: s.URL, AllowHTTP: true,
		AccessKeyID: secret.New(strictaws.AccessKey), SecretAccessKey: secret.New(strictaws.SecretKey),
	}
}

// roundTripper is a function that answers requests.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func bucketOf(tb testing.TB, s Settings, deps destination.Deps) *Bucket {
	tb.Helper()
	settings := BucketSettings{Bucket: "payloads", Prefix: "fantail/p", Settings: s}
	if err := settings.Validate(); err != nil {
		tb.Fatal(err)
	}
	b, err := OpenBucket(settings, deps)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}
