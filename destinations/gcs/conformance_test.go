package gcs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func TestConformance(t *testing.T) {
	t.Run("events", func(t *testing.T) { destinationtest.Run(t, kind(false, func(*Config) {})) })
	t.Run("items, compressed, over TLS", func(t *testing.T) {
		destinationtest.Run(t, kind(true, func(c *Config) { c.Gzip, c.Content = true, objectkey.ContentItem }))
	})
}

// farSide is Google with a bucket.
type farSide struct {
	*gcptest.Google
	key    string // of account
	secure bool
	change func(*Config)
}

const account = "fantail@test.iam.gserviceaccount.com"

func (f *farSide) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	c := defaults()
	c.Bucket, c.Endpoint, c.AllowHTTP = "acme", f.URL, true
	c.Credentials = secret.New(f.key)
	// Two of the suite's events are of one day of one user, and the newer would
	// replace the older: see TestTheNewestWins.
	c.Layout = "{version}/{type}/{user_id}-{start}-{id}.json"
	if f.secure {
		url, trust := f.TLS()
		deps.HTTP = deps.Exchange.With(trust).HTTP()
		c.Credentials = secret.New(strings.ReplaceAll(c.Credentials.Reveal(), f.URL, url))
		c.Endpoint, c.AllowHTTP = url, false
	}
	f.change(&c)
	return opened(tb, c, deps)
}

// opened opens settings that must be sound.
func opened(tb testing.TB, c Config, deps destination.Deps) destination.Destination {
	tb.Helper()
	if err := c.Validate(); err != nil {
		tb.Fatal(err)
	}
	d, err := open(c, deps)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// Stored reads as Cloud Storage serves clients that take no compression.
func (f *farSide) Stored(tb testing.TB) (all [][]byte) {
	for name, o := range f.Objects(tb, "acme") {
		if o.ContentEncoding == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(o.Content))
			if err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
			if o.Content, err = io.ReadAll(z); err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
		}
		all = append(all, o.Content)
	}
	return all
}

func (f *farSide) Mend(testing.TB) {
	f.Google.Break(nil)
	f.Grant(account, gcptest.Create, gcptest.Get, gcptest.Delete)
}

func (f *farSide) Break(_ testing.TB, x destinationtest.Failure) {
	if x.Name == "403 without rights" {
		f.Grant(account)
		return
	}
	f.Google.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			return false
		}
		io.Copy(io.Discard, r.Body)
		if strings.Contains(x.Name, "waits") {
			w.Header().Set("Retry-After", "7")
		}
		switch x.Name {
		case "hang up":
			panic(http.ErrAbortHandler)
		case "401":
			gcptest.Refuse(w, 401, "authError", "Invalid Credentials")
		case "403 billing":
			gcptest.Refuse(w, 403, "accountDisabled", "The billing account for the owning project is disabled in state closed")
		case "403 too often":
			gcptest.Refuse(w, 403, "rateLimitExceeded", "Rate Limit Exceeded")
		case "404":
			gcptest.Refuse(w, 404, "notFound", "The specified bucket does not exist.")
		case "500 with an echo":
			w.WriteHeader(500)
			r.Header.Write(w)
		case "500 with an echo at the cut":
			w.WriteHeader(500)
			fmt.Fprint(w, strings.Repeat("x", 1000), r.Header.Get("Authorization"))
		case "500 with 5 KiB":
			w.WriteHeader(500)
			fmt.Fprint(w, strings.Repeat("x", 5<<10))
		case "500 with 1 MiB":
			w.WriteHeader(500)
			fmt.Fprint(w, strings.Repeat("x", 1<<20))
		case "200 of a hotel":
			fmt.Fprint(w, "<html>Welcome")
		default:
			var code int
			fmt.Sscan(x.Name, &code)
			gcptest.Refuse(w, code, "backendError", "Error")
		}
		return true
	})
}

func kind(secure bool, change func(*Config)) destinationtest.Kind {
	c := defaults()
	change(&c)
	return destinationtest.Kind{
		Start: func(tb testing.TB) destinationtest.FarSide {
			g := gcptest.Start(tb)
			return &farSide{g, g.Account(tb, "fantail", gcptest.Create, gcptest.Get, gcptest.Delete), secure, change}
		},
		Secrets: []string{gcptest.TokenPrefix, "PRIVATE KEY", "private_key"},
		Failures: []destinationtest.Failure{
			{Name: "401", Class: destination.Misconfigured},
			{Name: "403 without rights", Class: destination.Misconfigured},
			{Name: "403 billing", Class: destination.Misconfigured},
			{Name: "403 too often", Class: destination.Throttled},
			{Name: "404", Class: destination.Misconfigured},
			{Name: "413", Class: destination.Rejected},
			{Name: "429", Class: destination.Throttled},
			{Name: "429 waits", Class: destination.Throttled, Wait: 7 * time.Second},
			{Name: "500"},
			{Name: "503"},
			{Name: "503 waits", Class: destination.Throttled, Wait: 7 * time.Second},
			{Name: "302", Class: destination.Misconfigured},
			{Name: "200 of a hotel", Class: destination.Misconfigured},
			{Name: "500 with an echo"},
			{Name: "500 with an echo at the cut"},
			{Name: "500 with 5 KiB"},
			{Name: "500 with 1 MiB", Breaks: true},
			{Name: "hang up", Breaks: true},
		},
		Repeat: func(_ testing.TB, far destinationtest.FarSide, as func(...string) string) {
			far.(*farSide).Google.Break(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					return false
				}
				io.Copy(io.Discard, r.Body)
				_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				gcptest.Refuse(w, 500, "backendError", as(token))
				return true
			})
		},
		Stores: func(e *event.Event) (all [][]byte) {
			catalogue := event.DefaultCatalogue()
			for p := range catalogue.Payloads(e) {
				if item, ok := catalogue.Item(e, p); ok && c.Content == objectkey.ContentItem {
					p.Body = item
				}
				all = append(all, p.Body)
			}
			return all
		},
		Requests:    func(_ testing.TB, far destinationtest.FarSide) int { return far.(*farSide).Requests("POST /upload") },
		Connections: 1,
		Checks:      true,
		Explains:    true,
	}
}
