package gcs

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	. "github.com/seed-51f8da91/fantail/pkg/destination/destinationtest" //nolint:revive // a table of its words
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// customer is one who sets up a bucket.
type customer struct {
	*gcptest.Google
	config Config
}

// at is a set-up at fake-gcs-server behind the strict front.
func at(name string, check, send Verdict, prepare func(testing.TB, *customer)) Setup {
	return Setup{Name: name, Check: check, Send: send, Open: func(tb testing.TB, deps destination.Deps) destination.Destination {
		c := &customer{gcptest.Start(tb), defaults()}
		c.config.Bucket, c.config.Endpoint, c.config.AllowHTTP = "acme", c.URL, true
		c.config.Credentials = secret.New(c.Account(tb, "fantail", gcptest.Create, gcptest.Get, gcptest.Delete))
		prepare(tb, c)
		return opened(tb, c.config, deps)
	}}
}

// refusing answers every put as Cloud Storage does where message is why.
func refusing(code int, reason, message string) func(testing.TB, *customer) {
	return func(_ testing.TB, c *customer) {
		c.Break(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/upload") {
				return false
			}
			io.Copy(io.Discard, r.Body)
			gcptest.Refuse(w, code, reason, message)
			return true
		})
	}
}

// hostile is a set-up with something else than Cloud Storage at the endpoint; of
// tokens, too, if that is where they are fetched.
func hostile(name string, check, send Verdict, tokens bool, far http.HandlerFunc) Setup {
	return at("no Cloud Storage: "+name, check, send, func(tb testing.TB, c *customer) {
		s := httptest.NewServer(far)
		tb.Cleanup(s.Close)
		if tokens {
			c.config.Credentials = secret.New(strings.ReplaceAll(c.config.Credentials.Reveal(), c.URL, s.URL))
		}
		c.config.Endpoint = s.URL
	})
}

// TestSetups: buckets as customers have them, what the check finds there, and
// what becomes of deliveries.
func TestSetups(t *testing.T) {
	fine := Verdict{}
	noted := func(says ...string) Verdict { return Verdict{Is: Noted, Says: says} }
	held := func(says ...string) Verdict { return Verdict{Is: Held, Says: says} }
	retried := func(says ...string) Verdict { return Verdict{Is: Retried, Says: says} }
	grant := func(rights ...string) func(testing.TB, *customer) {
		return func(_ testing.TB, c *customer) { c.Grant(account, rights...) }
	}
	portal := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Welcome to the hotel") }
	RunSetups(t, []Setup{
		at("roles/storage.objectUser", fine, fine, func(testing.TB, *customer) {}),
		at("compressed", fine, fine, func(_ testing.TB, c *customer) { c.config.Gzip = true }),
		at("roles/storage.objectCreator", noted("lands under a second key", "the check leaves fantail-check.json", "roles/storage.objectUser"), fine, grant(gcptest.Create)),
		at("roles/storage.objectCreator, stale: fail", held("Grant roles/storage.objectViewer"), fine, func(_ testing.TB, c *customer) {
			c.config.Stale = objectkey.StaleFail
			c.Grant(account, gcptest.Create)
		}),
		at("may not replace", noted("none can be replaced by a newer one", "roles/storage.objectUser"), fine, grant(gcptest.Create, gcptest.Get)),
		at("read-only", held("Grant roles/storage.objectCreator on"), held("Grant roles/storage.objectCreator on gs://acme to "+account), grant(gcptest.Get)),
		at("no rights at all", held("Grant roles/storage.objectCreator"), held("Grant roles/storage.objectCreator"), grant()),
		at("no such bucket", held("Create the bucket nobody-has-this"), held("Create the bucket nobody-has-this"), func(_ testing.TB, c *customer) { c.config.Bucket = "nobody-has-this" }),
		at("a deleted account", held("invalid_grant", "create a new key"), held("invalid_grant"), func(_ testing.TB, c *customer) {
			c.config.Credentials = secret.New(strings.ReplaceAll(c.config.Credentials.Reveal(), account, "gone@test.iam.gserviceaccount.com"))
		}),
		at("a key of Cloud KMS that refuses", held("Grant roles/cloudkms.cryptoKeyEncrypterDecrypter"), held("Grant roles/cloudkms.cryptoKeyEncrypterDecrypter"),
			refusing(403, "forbidden", "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been authorized to use this key.")),
		at("ACLs are off", held("Remove the setting predefined_acl"), held("Remove the setting predefined_acl"),
			refusing(400, "invalid", "Cannot insert legacy ACL for an object when uniform bucket-level access is enabled.")),
		at("requester pays", held("who delivers does not pay"), held("who delivers does not pay"),
			refusing(400, "required", "Bucket is a requester pays bucket but no user project provided.")),
		at("billing is off", held("Enable billing"), held("Enable billing"), refusing(403, "accountDisabled", "The billing account for the owning project is disabled in state closed")),
		at("a perimeter", held("VPC Service Controls"), held("VPC Service Controls"), refusing(403, "vpcServiceControls", "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x")),
		at("too busy", retried("answered 429"), retried("answered 429"), refusing(429, "rateLimitExceeded", "The project exceeded the rate limit")),
		at("down", retried("answered 503"), retried("answered 503"), refusing(503, "backendError", "Backend Error")),
		at("answers that are cut", retried(), retried(), func(_ testing.TB, c *customer) {
			c.Break(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/upload") {
					return false
				}
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Length", "100")
				fmt.Fprint(w, `{"name":"x"`)
				return true
			})
		}),

		hostile("a captive portal", held("captive portal"), held("captive portal", "nothing counts as stored"), false, portal),
		hostile("a captive portal, for tokens too", held("mend token_uri in credentials"), held("mend token_uri in credentials"), true, portal),
		hostile("the way to a captive portal", held("captive portal"), held("captive portal"), false, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/login", http.StatusFound)
		}),
		hostile("a website", held("Create the bucket acme, or correct"), held("Create the bucket acme, or correct"), false, http.NotFound),
		hostile("a website that takes nothing", held("mend endpoint"), held("mend endpoint"), false, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}),
		at("yes, and nothing comes back", held("is not there when it is read"), fine, func(_ testing.TB, c *customer) {
			c.Break(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || r.URL.Query().Get("alt") != "media" {
					return false
				}
				gcptest.Refuse(w, 404, "notFound", "No such object")
				return true
			})
		}),
	})
}

// TestARetainedObjectHoldsUpNobody: its delivery alone is given up.
func TestARetainedObjectHoldsUpNobody(t *testing.T) {
	r := newRig(t, unchanged)
	r.sends(made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)))
	r.Break(func(w http.ResponseWriter, q *http.Request) bool {
		if generation := q.URL.Query().Get("ifGenerationMatch"); !strings.HasPrefix(q.URL.Path, "/upload") || generation == "0" {
			return false
		}
		io.Copy(io.Discard, q.Body)
		gcptest.Refuse(w, 403, "retentionPolicyNotMet", "Object 'acme/x' is subject to bucket's retention policy and cannot be deleted, overwritten or archived until 2027-01-01")
		return true
	})
	r.fails(made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2)), destination.Rejected)
	r.sends(made(t, 3, daily("u", "2026-07-02T00:00:00Z", 3)))
}
