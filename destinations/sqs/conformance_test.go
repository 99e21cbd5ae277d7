package sqs

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

func TestConformance(t *testing.T) {
	t.Run("standard queue by name", func(t *testing.T) {
		k := kind(func(tb testing.TB) destinationtest.FarSide { return newFar(tb, "events", nil) })
		k.Duplicates = true
		destinationtest.Run(t, k)
	})
	t.Run("FIFO queue by URL with a role", func(t *testing.T) {
		k := kind(func(tb testing.TB) destinationtest.FarSide {
			f := newFar(tb, "events.fifo", nil)
			f.shared = true
			f.config = func(c *Config) {
				c.Queue, c.RoleARN, c.ExternalID, c.STSEndpoint = f.url, roleARN, secret.New(externalID), f.URL
			}
			return f
		})
		k.Links = true
		k.Repeat = func(_ testing.TB, x destinationtest.FarSide, as func(...string) string) {
			x.(*far).FailEntries(func(body string) (strictaws.Fault, bool) {
				var p struct{ URL string }
				_ = json.Unmarshal([]byte(body), &p)
				link, err := url.Parse(p.URL)
				if err != nil || link.RawQuery == "" {
					return strictaws.Fault{Status: 500, Code: "InternalError", Message: "no link"}, true
				}
				return strictaws.Fault{Status: 500, Code: "InternalError", Message: as(link.Query().Get("X-Amz-Signature"), link.RawQuery, p.URL)}, true
			})
		}
		k.Failures = append(k.Failures, destinationtest.Failure{Name: "the operator's store down", Engine: true})
		destinationtest.Run(t, k)
	})
}

func kind(start func(testing.TB) destinationtest.FarSide) destinationtest.Kind {
	return destinationtest.Kind{
		Start:   start,
		Secrets: []string{strictaws.SecretKey, externalID, "session-secret", "session-token", "X-Amz-Signature"},
		Failures: []destinationtest.Failure{
			{Name: "throttled", Class: destination.Throttled},
			{Name: "throttled with a wait", Class: destination.Throttled, Wait: 7 * time.Second},
			{Name: "denied", Class: destination.Misconfigured},
			{Name: "a removed queue", Class: destination.Misconfigured},
			{Name: "a key that may not be used", Class: destination.Misconfigured},
			{Name: "a key that is throttled", Class: destination.Throttled},
			{Name: "an internal error"},
			{Name: "an internal error of each"},
			{Name: "each throttled", Class: destination.Throttled},
			{Name: "a gateway's page"},
			{Name: "an echo"},
			{Name: "an echo of each"},
			{Name: "garbage"},
			{Name: "an answer about nothing"},
			{Name: "a broken connection", Breaks: true},
		},
		Repeat: func(_ testing.TB, x destinationtest.FarSide, as func(...string) string) {
			x.(*far).Fail("SendMessageBatch", strictaws.Fault{Status: 500, Code: "InternalError", Repeat: as})
		},
		Poison: func(tb testing.TB) (destination.Delivery, destination.Class) {
			return healthcheck(tb, 1001, 1<<20), destination.Rejected
		},
		Requests: func(_ testing.TB, x destinationtest.FarSide) int {
			return x.(*far).Requests("SendMessageBatch")
		},
		Connections: 1,
		Batches:     true, Checks: true, Explains: true,
	}
}
