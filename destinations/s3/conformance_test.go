package s3

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// TestConformance runs the suite against a real S3 server, and against one that
// shows every failure that S3 is documented to have.
func TestConformance(t *testing.T) {
	// Samples of one user and day replace each other under the default layout.
	byID := func(c *Config) { c.Keys.Layout = "{type}/{user_id}/{id}.json" }
	t.Run("real", func(t *testing.T) {
		g := startGateway(t)
		destinationtest.Run(t, destinationtest.Kind{
			Start:       func(tb testing.TB) destinationtest.FarSide { return g.bucket(tb, byID) },
			Secrets:     []string{g.UserSecretKey},
			Failures:    []destinationtest.Failure{{Name: "denied", Class: destination.Misconfigured}},
			Stores:      bodiesOf,
			Connections: 1,
			Checks:      true,
			Explains:    true,
		})
	})
	t.Run("real, gzip, items", func(t *testing.T) {
		g := startGateway(t)
		destinationtest.Run(t, destinationtest.Kind{
			Start: func(tb testing.TB) destinationtest.FarSide {
				return g.bucket(tb, byID, func(c *Config) { c.Keys.Gzip, c.Keys.Content = true, objectkey.ContentItem })
			},
			Secrets:  []string{g.UserSecretKey},
			Failures: []destinationtest.Failure{{Name: "denied", Class: destination.Misconfigured}},
			Stores:   itemsOf,
			Checks:   true,
			Explains: true,
		})
	})
	t.Run("strict", func(t *testing.T) {
		destinationtest.Run(t, destinationtest.Kind{
			Start:       func(tb testing.TB) destinationtest.FarSide { return startStrict(tb, byID) },
			Secrets:     []string{strictaws.SecretKey},
			Failures:    strictFailures(),
			Repeat:      repeat,
			Stores:      bodiesOf,
			Connections: 1,
			Requests:    func(_ testing.TB, far destinationtest.FarSide) int { return far.(*strict).Requests("PutObject") },
			Checks:      true,
			Explains:    true,
		})
	})
	t.Run("role", func(t *testing.T) {
		destinationtest.Run(t, destinationtest.Kind{
			Start: func(tb testing.TB) destinationtest.FarSide {
				s := startStrict(tb, byID)
				s.AddRole(strictaws.Role{ARN: testRole, ExternalID: testExternalID})
				s.config.Account.RoleARN, s.config.Account.ExternalID, s.config.Account.STSEndpoint = testRole, secret.New(testExternalID), s.URL
				return s
			},
			Secrets:    []string{strictaws.SecretKey, testExternalID, "session-secret-", "session-token-"},
			Failures:   strictFailures(),
			Repeat:     repeat,
			Stores:     bodiesOf,
			Checks:     true,
			Explains:   true,
			Background: []string{"strictaws"},
		})
	})
}

const (
	testRole       = "arn:aws:iam::" + strictaws.Account + ":role/fantail"
	testExternalID = "an-external-id"
)

func bodiesOf(e *event.Event) (all [][]byte) {
	for p := range event.DefaultCatalogue().Payloads(e) {
		all = append(all, p.Body)
	}
	return all
}

func itemsOf(e *event.Event) (all [][]byte) {
	c := event.DefaultCatalogue()
	for p := range c.Payloads(e) {
		if item, ok := c.Item(e, p); ok {
			p.Body = item
		}
		all = append(all, p.Body)
	}
	return all
}

// strict is a far side in this process that plays S3 and STS.
type strict struct {
	*strictaws.Server
	config Config
}

func startStrict(tb testing.TB, change ...func(*Config)) *strict {
	s := &strict{strictaws.New(tb), defaults()}
	s.AddBucket(strictaws.Bucket{Name: "bucket"})
	s.config.Bucket = "bucket"
	s.config.Account = aws.Settings{Region: s.Region, Endpoint: s.URL, AllowHTTP: true, AccessKeyID: secret.New(strictaws.AccessKey), SecretAccessKey: secret.New(strictaws.SecretKey)}
	for _, f := range change {
		f(&s.config)
	}
	return s
}

func (s *strict) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	return openWith(tb, s.config, deps)
}

func openWith(tb testing.TB, c Config, deps destination.Deps) *bucket {
	tb.Helper()
	if err := c.Validate(); err != nil {
		tb.Fatal(err)
	}
	d, err := open(c, deps)
	if err != nil {
		tb.Fatal(err)
	}
	return d.(*bucket)
}

func (s *strict) Stored(tb testing.TB) (all [][]byte) {
	for _, o := range s.Objects("bucket") {
		all = append(all, o.Body)
	}
	return all
}

// strictFault is a failure with the answer that shows it.
type strictFault struct {
	destinationtest.Failure
	fault strictaws.Fault
}

var strictFaults = []strictFault{
	{destinationtest.Failure{Name: "denied with an echo", Class: destination.Misconfigured}, strictaws.Fault{Status: 403, Code: "AccessDenied", Message: "no", Echo: true}},
	{destinationtest.Failure{Name: "slow down", Class: destination.Throttled}, strictaws.Fault{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."}},
	{destinationtest.Failure{Name: "slow down for 7 s", Class: destination.Throttled, Wait: 7 * time.Second},
		strictaws.Fault{Status: 503, Code: "SlowDown", Header: http.Header{"Retry-After": {"7"}}}},
	{destinationtest.Failure{Name: "internal error"}, strictaws.Fault{Status: 500, Code: "InternalError", Message: strings.Repeat("sorry ", 1000)}},
	{destinationtest.Failure{Name: "bad gateway", Class: destination.Transient}, strictaws.Fault{Status: 502, Raw: "<html>bad gateway</html>"}},
	{destinationtest.Failure{Name: "too large", Class: destination.Rejected}, strictaws.Fault{Status: 400, Code: "EntityTooLarge"}},
	{destinationtest.Failure{Name: "hang up", Breaks: true}, strictaws.Fault{Breaks: true}},
}

func strictFailures() (all []destinationtest.Failure) {
	for _, f := range strictFaults {
		all = append(all, f.Failure)
	}
	return all
}

func (s *strict) Break(tb testing.TB, f destinationtest.Failure) {
	for _, known := range strictFaults {
		if known.Name == f.Name {
			s.Fail("PutObject", known.fault)
			return
		}
	}
	tb.Fatalf("nobody knows how to show %q", f.Name)
}

func repeat(_ testing.TB, far destinationtest.FarSide, as func(...string) string) {
	far.(*strict).Fail("PutObject", strictaws.Fault{Status: 500, Code: "InternalError", Repeat: as})
}

func (s *strict) Mend(testing.TB) { s.Server.Mend() }
