package s3

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// TestFaults is the failure table of the README: what S3 answers, what class
// that is, and what the message tells to do. Where the server can refuse by
// itself it does; the rest are answers as the API reference has them.
func TestFaults(t *testing.T) {
	put := func(f strictaws.Fault) func(*strict) { return func(s *strict) { s.Fail("PutObject", f) } }
	const (
		transient     = destination.Transient
		throttled     = destination.Throttled
		rejected      = destination.Rejected
		misconfigured = destination.Misconfigured
	)
	cases := []struct {
		name  string
		cause func(*strict)
		class destination.Class
		wait  time.Duration
		says  string
	}{
		{"no bucket", func(s *strict) { s.RemoveBucket("bucket") }, misconfigured, 0, "there is no bucket bucket: create it, or mend bucket, region or endpoint"},
		{"denied", func(s *strict) { s.Deny("s3:PutObject") }, misconfigured, 0, "grant s3:PutObject on arn:aws:s3:::bucket/* to these credentials"},
		{"ACL denied", func(s *strict) { s.Deny("s3:PutObjectAcl"); s.config.ACL = "private" }, misconfigured, 0, "grant s3:PutObjectAcl on arn:aws:s3:::bucket/*, or leave acl out"},
		{"ACLs are off", put(strictaws.Fault{Status: 400, Code: "AccessControlListNotSupported"}), misconfigured, 0, "leave acl out"},
		{"KMS denied", func(s *strict) { s.config.SSE = sseKMS; s.Deny("kms:GenerateDataKey") }, misconfigured, 0, "grant kms:GenerateDataKey on the encryption key"},
		{"no such KMS key", func(s *strict) { s.config.SSE, s.config.KMSKeyID = sseKMS, "alias/none" }, misconfigured, 0, "kms_key_id names no key in region eu-central-1"},
		{"KMS key disabled", put(strictaws.Fault{Status: 400, Code: "KMS.DisabledException"}), misconfigured, 0, "enable the key"},
		{"KMS key going away", put(strictaws.Fault{Status: 400, Code: "KMS.KMSInvalidStateException"}), misconfigured, 0, "the encryption key cannot be used"},
		{"a policy wants KMS", func(s *strict) { s.AddBucket(strictaws.Bucket{Name: "bucket", RequireKMS: true}) }, misconfigured, 0, "a policy denies s3:PutObject"},
		{"another owner", func(s *strict) { s.config.ExpectedBucketOwner = "999999999999" }, misconfigured, 0, "expected_bucket_owner is not who owns it"},
		{"another region, 400", func(s *strict) { s.AddBucket(strictaws.Bucket{Name: "bucket", Region: "us-west-2"}) }, misconfigured, 0, "the bucket is in another region: set region"},
		{"another region, 301", func(s *strict) { s.AddBucket(strictaws.Bucket{Name: "bucket", Region: "us-west-2", Redirects: true}) }, misconfigured, 0, "the bucket is in another region: set region"},
		{"another region, named", put(strictaws.Fault{Status: 301, Code: "PermanentRedirect", Header: http.Header{"X-Amz-Bucket-Region": {"us-west-2"}}}), misconfigured, 0, "set region: us-west-2"},
		{"another region, unnamed", put(strictaws.Fault{Status: 301, Code: "PermanentRedirect"}), misconfigured, 0, "set region to where it is"},
		{"another region, hostile", put(strictaws.Fault{Status: 301, Code: "PermanentRedirect", Header: http.Header{"X-Amz-Bucket-Region": {"<script>"}}}), misconfigured, 0, "set region to where it is"},
		{"a new bucket's redirect", put(strictaws.Fault{Status: 307, Code: "TemporaryRedirect"}), transient, 0, "answered 307"},
		{"unknown key", func(s *strict) { s.config.Account.AccessKeyID = secret.New("AKIANOBODY") }, misconfigured, 0, "see that access_key_id and secret_access_key belong together and are active"},
		{"wrong secret", func(s *strict) { s.config.Account.SecretAccessKey = secret.New("another-secret") }, misconfigured, 0, "see that access_key_id and secret_access_key belong together"},
		{"wrong token", put(strictaws.Fault{Status: 400, Code: "InvalidToken"}), misconfigured, 0, "the session_token is refused"},
		{"expired token", put(strictaws.Fault{Status: 400, Code: "ExpiredToken"}), misconfigured, 0, "put fresh ones into the settings, or use role_arn"},
		{"clock skew", func(s *strict) { s.Advance(time.Hour) }, misconfigured, 0, "our clock, or theirs, is wrong"},
		{"no role", func(s *strict) {
			s.config.Account.RoleARN, s.config.Account.STSEndpoint = testRole, s.URL
		}, misconfigured, 0, "its trust policy must name our principal, with sts:ExternalId as in external_id"},
		{"no STS at all", func(s *strict) {
			s.config.Account.RoleARN, s.config.Account.STSEndpoint = testRole, s.URL
			s.Fail("AssumeRole", strictaws.Fault{Status: 404, Raw: "<html>not found</html>"})
		}, misconfigured, 0, ": assume the role " + testRole + ": answered 404"},
		{"STS is down", func(s *strict) {
			s.config.Account.RoleARN, s.config.Account.STSEndpoint = testRole, s.URL
			s.Fail("AssumeRole", strictaws.Fault{Status: 500, Code: "InternalFailure"})
		}, transient, 0, "assume the role " + testRole},
		{"bad storage class", put(strictaws.Fault{Status: 400, Code: "InvalidStorageClass"}), misconfigured, 0, "mend storage_class"},
		{"unknown header", put(strictaws.Fault{Status: 501, Code: "NotImplemented"}), misconfigured, 0, "leave acl, storage_class, sse or expected_bucket_owner out"},
		{"no S3 at all", put(strictaws.Fault{Status: 404, Raw: "<html>not found</html>"}), misconfigured, 0, "mend bucket, endpoint or path_style"},
		{"method not allowed", put(strictaws.Fault{Status: 405, Code: "MethodNotAllowed"}), misconfigured, 0, "mend endpoint, bucket or path_style"},
		{"slow down", put(strictaws.Fault{Status: 503, Code: "SlowDown"}), throttled, 0, "SlowDown"},
		{"slow down, said when", put(strictaws.Fault{Status: 503, Code: "SlowDown", Header: http.Header{"Retry-After": {"9"}}}), throttled, 9 * time.Second, "SlowDown"},
		{"too many requests", put(strictaws.Fault{Status: 429, Raw: "slow down"}), throttled, 0, "429"},
		{"unavailable", put(strictaws.Fault{Status: 503, Code: "ServiceUnavailable"}), transient, 0, "ServiceUnavailable"},
		{"unavailable, said when", put(strictaws.Fault{Status: 503, Raw: "later", Header: http.Header{"Retry-After": {"9"}}}), throttled, 9 * time.Second, "503"},
		{"internal error", put(strictaws.Fault{Status: 500, Code: "InternalError"}), transient, 0, "InternalError"},
		{"request timeout", put(strictaws.Fault{Status: 400, Code: "RequestTimeout"}), transient, 0, "RequestTimeout"},
		{"nobody knows", put(strictaws.Fault{Status: 400, Code: "SomethingNew"}), transient, 0, "SomethingNew"},
		{"a port that wants https", put(strictaws.Fault{Status: 400, Raw: "Client sent an HTTP request to an HTTPS server.\n", Header: http.Header{"Content-Type": {"text/plain"}}}), misconfigured, 0, "a port that wants https: mend endpoint"},
		{"too large", put(strictaws.Fault{Status: 400, Code: "EntityTooLarge"}), rejected, 0, "EntityTooLarge"},
		{"too large for a proxy", put(strictaws.Fault{Status: 413, Raw: "<html>"}), rejected, 0, "413"},
		{"key too long", put(strictaws.Fault{Status: 400, Code: "KeyTooLongError"}), rejected, 0, "KeyTooLongError"},
		{"conflict for ever", put(strictaws.Fault{Status: 409, Code: "ConditionalRequestConflict"}), transient, 0, "others wrote it first"},
		{"hang up", put(strictaws.Fault{Breaks: true}), transient, 0, "EOF"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := startStrict(t)
			c.cause(s)
			d := openWith(t, s.config, plainDeps(t))
			_, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(`{"type":"auth","user":{"user_id":"u1"}}`)))
			class, wait := destination.ClassOf(err)
			if err == nil || class != c.class || wait != c.wait {
				t.Fatalf("%v: %v, waits %v; want %v, %v", err, class, wait, c.class, c.wait)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("it does not say %q: %v", c.says, err)
			}
			if c.class == misconfigured && !strings.HasPrefix(err.Error(), "store auth/u1-2026-07-01T09:12:34Z.json") {
				t.Errorf("it does not say what was attempted: %v", err)
			}
		})
	}
}

// TestTheGuardsRefusalPassesAsItIs, since it holds the destination and says how to permit it.
func TestTheGuardsRefusalPassesAsItIs(t *testing.T) {
	s := startStrict(t)
	deps := plainDeps(t)
	refusal := &destination.Fault{Class: destination.Misconfigured, Err: context.Canceled}
	deps.HTTP = &http.Client{Transport: refusing{refusal}}
	_, err := openWith(t, s.config, deps).Send(t.Context(), destinationtest.Delivery(t, 1, []byte(`{"type":"auth"}`)))
	if err != refusal {
		t.Errorf("got %v", err)
	}
}

type refusing struct{ err error }

func (r refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }
