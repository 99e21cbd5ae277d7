package s3

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	. "github.com/seed-51f8da91/fantail/pkg/destination/destinationtest" //nolint:revive // a table of its words
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// real is a set-up at versitygw.
func real(name string, check, send Verdict, prepare func(testing.TB, *far)) Setup {
	var f *far
	return Setup{Name: "versitygw: " + name, Check: check, Send: send, Open: func(tb testing.TB, deps destination.Deps) destination.Destination {
		f = startGateway(tb).bucket(tb)
		prepare(tb, f)
		return f.Open(tb, deps)
	}}
}

// played is a set-up at the strict server.
func played(name string, check, send Verdict, prepare func(*strict)) Setup {
	return Setup{Name: "strict: " + name, Check: check, Send: send, Open: func(tb testing.TB, deps destination.Deps) destination.Destination {
		s := startStrict(tb)
		prepare(s)
		return s.Open(tb, deps)
	}}
}

// hostile is a set-up with something else than S3 at the endpoint.
func hostile(name string, check, send Verdict, far http.HandlerFunc) Setup {
	return Setup{Name: "no S3: " + name, Check: check, Send: send, Open: func(tb testing.TB, deps destination.Deps) destination.Destination {
		s := httptest.NewServer(far)
		tb.Cleanup(s.Close)
		c := defaults()
		c.Bucket = "bucket"
		c.Account = aws.Settings{Endpoint: s.URL, AllowHTTP: true, AccessKeyID: secret.New("key"), SecretAccessKey: secret.New("hidden")}
		return openWith(tb, c, deps)
	}}
}

func bucketWith(b strictaws.Bucket) func(*strict) {
	b.Name = "bucket"
	return func(s *strict) { s.AddBucket(b) }
}

// TestSetups: buckets as customers have them, what the check finds there, and
// what becomes of deliveries.
func TestSetups(t *testing.T) {
	fine := Verdict{}
	noted := func(says ...string) Verdict { return Verdict{Is: Noted, Says: says} }
	held := func(says ...string) Verdict { return Verdict{Is: Held, Says: says} }
	retried := func(says ...string) Verdict { return Verdict{Is: Retried, Says: says} }
	const other = "what answers there is not the service"
	setups := []Setup{
		real("all rights of the README", fine, fine, func(testing.TB, *far) {}),
		real("write-only keys", noted("lands under a second key", "Grant s3:GetObject on arn:aws:s3:::"), fine, func(tb testing.TB, f *far) { f.allow(tb, "s3:PutObject") }),
		real("write-only keys, stale: fail", held("stale: fail needs to read", "grant s3:GetObject"), fine, func(tb testing.TB, f *far) {
			f.config.Keys.Stale = objectkey.StaleFail
			f.allow(tb, "s3:PutObject")
		}),
		real("may not remove the probe", noted("the check leaves fantail-check.json", "s3:DeleteObject"), fine, func(tb testing.TB, f *far) { f.allow(tb, "s3:PutObject", "s3:GetObject") }),
		real("read-only keys", held("grant s3:PutObject on arn:aws:s3:::"), held("grant s3:PutObject on arn:aws:s3:::"), func(tb testing.TB, f *far) { f.allow(tb, "s3:GetObject") }),
		real("no rights at all", held("grant s3:PutObject"), held("grant s3:PutObject"), func(tb testing.TB, f *far) { f.allow(tb) }),
		real("no such bucket", held("there is no bucket", "create it"), held("there is no bucket"), func(_ testing.TB, f *far) { f.config.Bucket = "nobody-has-this" }),
		real("another's secret", held("belong together"), held("belong together"), func(_ testing.TB, f *far) { f.config.Account.SecretAccessKey = secret.New("hidden-of-another") }),
		real("compressed", fine, fine, func(_ testing.TB, f *far) { f.config.Keys.Gzip = true }),
		real("one folder of a bucket", fine, fine, func(tb testing.TB, f *far) {
			f.config.Keys.Layout = "fantail/{type}/{user_id}-{start}.json"
			policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":%q,"Action":["s3:PutObject","s3:GetObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::%s/fantail/*"}]}`, f.UserAccessKey, f.name)
			if _, err := f.admin.PutBucketPolicy(tb.Context(), &sdk.PutBucketPolicyInput{Bucket: &f.name, Policy: &policy}); err != nil {
				tb.Fatal(err)
			}
		}),

		played("a versioned bucket", fine, fine, bucketWith(strictaws.Bucket{Versioned: true})),
		played("a versioned bucket whose versions may not be removed", noted("s3:DeleteObjectVersion"), fine, func(s *strict) {
			s.AddBucket(strictaws.Bucket{Name: "bucket", Versioned: true})
			s.Deny("s3:DeleteObjectVersion")
		}),
		played("no conditions", noted("knows no conditional writes"), fine, bucketWith(strictaws.Bucket{NoConditions: true})),
		played("no conditions, stale: fail", held("set stale: overwrite"), held("set stale: overwrite"), func(s *strict) {
			s.AddBucket(strictaws.Bucket{Name: "bucket", NoConditions: true})
			s.config.Keys.Stale = objectkey.StaleFail
		}),
		played("no conditions and no reading", noted("knows no conditional writes", "lands under a second key"), fine, func(s *strict) {
			s.AddBucket(strictaws.Bucket{Name: "bucket", NoConditions: true})
			s.Deny("s3:GetObject")
		}),
		played("conditions that are ignored", noted("or ignores them"), fine, bucketWith(strictaws.Bucket{IgnoresConditions: true})),
		played("no checksums", noted("refuses x-amz-checksum-sha256"), fine, bucketWith(strictaws.Bucket{NoChecksums: true})),
		played("neither conditions nor checksums", noted("conditional writes", "x-amz-checksum-sha256"), fine, bucketWith(strictaws.Bucket{NoConditions: true, NoChecksums: true})),
		played("another region", held("the bucket is in another region"), held("the bucket is in another region"), bucketWith(strictaws.Bucket{Region: "us-west-2"})),
		played("another region, redirected", held("the bucket is in another region"), held("the bucket is in another region"), bucketWith(strictaws.Bucket{Region: "us-west-2", Redirects: true})),
		played("another owner", held("expected_bucket_owner is not who owns it"), held("expected_bucket_owner is not who owns it"), func(s *strict) { s.config.ExpectedBucketOwner = "999999999999" }),
		played("ACLs are off", held("leave acl out"), held("leave acl out"), func(s *strict) {
			s.AddBucket(strictaws.Bucket{Name: "bucket", NoACLs: true})
			s.config.ACL = "private"
		}),
		played("ACLs are off, the owner's", fine, fine, func(s *strict) {
			s.AddBucket(strictaws.Bucket{Name: "bucket", NoACLs: true})
			s.config.ACL = "bucket-owner-full-control"
		}),
		played("no right to set ACLs", held("grant s3:PutObjectAcl"), held("grant s3:PutObjectAcl"), func(s *strict) {
			s.Deny("s3:PutObjectAcl")
			s.config.ACL = "private"
		}),
		played("KMS denied", held("grant kms:GenerateDataKey"), held("grant kms:GenerateDataKey"), func(s *strict) {
			s.Deny("kms:GenerateDataKey")
			s.config.SSE = sseKMS
		}),
		played("KMS without the right to decrypt", noted("kms:Decrypt on the encryption key lets this check"), fine, func(s *strict) {
			s.Deny("kms:Decrypt")
			s.config.SSE, s.config.Keys.Stale = sseKMS, objectkey.StaleFail
		}),
		played("no such KMS key", held("names no key in region"), held("names no key in region"), func(s *strict) { s.config.SSE, s.config.KMSKeyID = sseKMS, "alias/none" }),
		played("a policy that wants KMS", held("a policy denies s3:PutObject"), held("a policy denies s3:PutObject"), bucketWith(strictaws.Bucket{RequireKMS: true})),
		played("requester pays", held("or the bucket makes requesters pay"), held("or the bucket makes requesters pay"), bucketWith(strictaws.Bucket{Owner: "999999999999", RequesterPays: true})),
		played("a clock an hour off", held("clock"), held("clock"), func(s *strict) { s.Advance(time.Hour) }),
		played("a full bucket", held("quota"), held("quota"), func(s *strict) {
			s.Fail("PutObject", strictaws.Fault{Status: 403, Code: "QuotaExceeded"})
		}),
		played("too busy", retried("SlowDown"), retried("SlowDown"), func(s *strict) { s.Fail("*", strictaws.Fault{Status: 503, Code: "SlowDown"}) }),
		played("down", retried("InternalError"), retried("InternalError"), func(s *strict) { s.Fail("*", strictaws.Fault{Status: 500, Code: "InternalError"}) }),

		hostile("a captive portal", held("without the ETag that S3 promises", other), held("without the ETag", other), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>Welcome to the hotel")
		}),
		hostile("the way to a captive portal", held(other), held(other), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/login", http.StatusFound)
		}),
		hostile("a network that wants a login", held(other), held(other), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(511) }),
		hostile("a website", held("mend endpoint"), held("mend endpoint"), func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut || r.Method == http.MethodDelete {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			fmt.Fprint(w, "<html>A shop")
		}),
		hostile("another website", held("nothing answers for bucket"), held("nothing answers for bucket"), http.NotFound),
		hostile("yes to everything, in the words of S3", held("comes back as something else"), fine, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"99914b932bd37a50b983c5e7c90ae93b"`)
			if r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "" && strings.HasSuffix(r.URL.Path, "check.json") {
				w.WriteHeader(http.StatusOK)
			}
		}),
	}
	RunSetups(t, setups)
}

// TestChecksAddNoVersions to a bucket that keeps them: by its version the probe is
// removed, and without the right to that it stays as it is.
func TestChecksAddNoVersions(t *testing.T) {
	s := startStrict(t)
	s.AddBucket(strictaws.Bucket{Name: "bucket", Versioned: true})
	d := openWith(t, s.config, plainDeps(t))
	for _, c := range []struct {
		denied string
		left   int
	}{{"", 0}, {"s3:DeleteObjectVersion", 1}, {"s3:GetObject", 1}} {
		s.Mend(t)
		s.Deny(c.denied)
		for range 3 {
			if err := d.Check(t.Context()); err != nil && c.denied == "" {
				t.Error(err)
			}
		}
		if n := s.Versions("bucket"); n != c.left {
			t.Errorf("without %s: %d versions", c.denied, n)
		}
	}
}

// TestALockedObjectHoldsUpNobody: Object Lock keeps one object, and its delivery
// alone is given up.
func TestALockedObjectHoldsUpNobody(t *testing.T) {
	g := startGateway(t)
	f := g.bucket(t)
	locked := f.name + "l"
	if _, err := g.admin.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: &locked, ObjectLockEnabledForBucket: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	f.name, f.config.Bucket = locked, locked
	f.allow(t, everything...)
	d := openWith(t, f.config, plainDeps(t))
	send(t, d, fmt.Sprintf(activity, 1, "a"))
	until := time.Now().Add(time.Hour)
	if _, err := f.admin.PutObjectRetention(t.Context(), &sdk.PutObjectRetentionInput{Bucket: &f.name, Key: ptr(activityKey),
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: &until}}); err != nil {
		t.Fatal(err)
	}
	_, err := d.Send(t.Context(), Delivery(t, 2, fmt.Appendf(nil, activity, 2, "a")))
	if class, _ := destination.ClassOf(err); class != destination.Rejected || !strings.Contains(err.Error(), "Object Lock keeps the older version") {
		t.Errorf("over a locked object: %v, %v", class, err)
	}
	send(t, d, fmt.Sprintf(activity, 1, "another"))
	if err := d.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if o := f.all(t)[activityKey]; string(o.body) != fmt.Sprintf(activity, 1, "a") {
		t.Errorf("it holds %s", o.body)
	}
}

// TestOneObjectThatMayNotBeReplacedHoldsUpNobody: that it is taken has shown that
// others may be stored, whatever the refusal says. With write-only keys, too.
func TestOneObjectThatMayNotBeReplacedHoldsUpNobody(t *testing.T) {
	for _, writeOnly := range []bool{false, true} {
		s := startStrict(t)
		net, deps := tapped(t)
		d := openWith(t, s.config, deps)
		if writeOnly {
			s.Deny("s3:GetObject")
			send(t, d, fmt.Sprintf(activity, 0, "a"))
		}
		send(t, d, fmt.Sprintf(activity, 1, "a"))
		net.before = func(req *http.Request) *http.Response {
			if req.Method == http.MethodPut && req.Header.Get("If-None-Match") == "" {
				return answer(http.StatusForbidden, "AccessDenied")
			}
			return nil
		}
		_, err := d.Send(t.Context(), Delivery(t, 2, fmt.Appendf(nil, activity, 2, "a")))
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient || !strings.Contains(err.Error(), "may not be replaced") {
			t.Errorf("%v, %v", class, err)
		}
		send(t, d, strings.ReplaceAll(fmt.Sprintf(activity, 3, "b"), "06:00", "07:00"))
	}
}
