package s3

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

func TestValidateNamesEveryFault(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Config)
		want   []string // what the messages hold; none: it is valid
	}{
		{"the least", func(*Config) {}, nil},
		{"everything", func(c *Config) {
			c.Keys.Content, c.Keys.Gzip, c.Keys.Stale, c.StorageClass, c.SSE, c.KMSKeyID, c.ACL, c.ExpectedBucketOwner = objectkey.ContentItem, true, objectkey.StaleFail,
				"GLACIER_IR", sseKMS, "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", "bucket-owner-full-control", "123456789012"
		}, nil},
		{"no bucket", func(c *Config) { c.Bucket = "" }, []string{"bucket: is required"}},
		{"no region", func(c *Config) { c.Account.Region = "" }, []string{"region: is required"}},
		{"bad layout", func(c *Config) { c.Keys.Layout = "{type}.json" }, []string{"layout:"}},
		{"content", func(c *Config) { c.Keys.Content = "body" }, []string{"content: must be event or item"}},
		{"stale", func(c *Config) { c.Keys.Stale = "" }, []string{"stale: must be overwrite or fail"}},
		{"sse", func(c *Config) { c.SSE = "AES256" }, []string{"sse: must be s3 or kms"}},
		{"public", func(c *Config) { c.ACL = "public-read" }, []string{"acl: must be private or bucket-owner-read or bucket-owner-full-control"}},
		{"storage class", func(c *Config) { c.StorageClass = "standard" }, []string{"storage_class: must be STANDARD or "}},
		{"key without kms", func(c *Config) { c.SSE, c.KMSKeyID = sseS3, "alias/x" }, []string{"kms_key_id: has no meaning without sse: kms"}},
		{"bad key", func(c *Config) { c.SSE, c.KMSKeyID = sseKMS, "alias/x\r\nx-evil: 1" }, []string{"kms_key_id: is neither"}},
		{"owner", func(c *Config) { c.ExpectedBucketOwner = "acme" }, []string{"expected_bucket_owner: is not"}},
		{"the bucket in the path", func(c *Config) { c.Account.Endpoint = "https://0123.r2.cloudflarestorage.com/bucket" }, []string{"endpoint: must not have the bucket in its path: write https://0123.r2.cloudflarestorage.com"}},
		{"the bucket in the host", func(c *Config) { c.Account.Endpoint = "https://bucket.fra1.digitaloceanspaces.com" }, []string{"endpoint: must not have the bucket in its host: write https://fra1.digitaloceanspaces.com"}},
		{"several", func(c *Config) { c.Bucket, c.Keys.Stale, c.Account.Endpoint = "", "x", "http://minio.example" }, []string{"bucket:", "stale:", "endpoint: must be https"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := defaults()
			cfg.Bucket, cfg.Account = "bucket", aws.Settings{Region: "eu-west-1", AccessKeyID: secret.New("AKIATEST"), SecretAccessKey: secret.New("secret-key")}
			c.change(&cfg)
			err := cfg.Validate()
			if (err == nil) != (c.want == nil) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v lacks %q", err, w)
				}
			}
		})
	}
}

// TestAmbientOnlyWherePermitted: without a key the operator's credentials are
// needed, and nothing opens without their permission.
func TestAmbientOnlyWherePermitted(t *testing.T) {
	c := defaults()
	c.Bucket, c.Account = "bucket", aws.Settings{Region: "eu-west-1"}
	if !c.NeedsAmbient() {
		t.Error("it does not say that it needs them")
	}
	deps := plainDeps(t)
	if _, err := open(c, deps); err == nil || !strings.Contains(err.Error(), "ambient in fantail.yaml") {
		t.Errorf("it opens without permission: %v", err)
	}
	deps.Ambient = true
	if d, err := open(c, deps); err != nil {
		t.Error(err)
	} else if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestSettingsReachTheObject: what is asked of a put arrives with it.
func TestSettingsReachTheObject(t *testing.T) {
	const kmsKey = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
	s := startStrict(t)
	s.AddBucket(strictaws.Bucket{Name: "bucket", KMSKeys: []string{kmsKey}})
	c := s.config
	c.StorageClass, c.ACL, c.SSE, c.KMSKeyID, c.ExpectedBucketOwner, c.Keys.Gzip = "STANDARD_IA", "bucket-owner-full-control", sseKMS, kmsKey, strictaws.Account, true
	x := destinationtest.Delivery(t, 1, []byte(`{"type":"auth","user":{"user_id":"u1"}}`))
	if _, err := openWith(t, c, plainDeps(t)).Send(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	o, _ := s.Object("bucket", "auth/u1-2026-07-01T09:12:34Z.json")
	if o.StorageClass != c.StorageClass || o.ACL != c.ACL || o.Encryption != "aws:kms" || o.KMSKey != kmsKey || o.ContentType != "application/json" || o.ContentEncoding != "gzip" {
		t.Errorf("got %+v", o)
	}
	c.SSE, c.KMSKeyID = sseS3, ""
	x.Event.Ordering = x.Event.Ordering.AddDate(0, 0, 1)
	if _, err := openWith(t, c, plainDeps(t)).Send(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if o, _ := s.Object("bucket", "auth/u1-2026-07-02T09:12:34Z.json"); o.Encryption != "AES256" || o.KMSKey != "" {
		t.Errorf("sse: s3 made %+v", o)
	}
}

// TestExplainShowsTheKey and what the object will carry.
func TestExplainShowsTheKey(t *testing.T) {
	s := startStrict(t)
	c := s.config
	c.StorageClass, c.SSE, c.Keys.Gzip = "STANDARD_IA", sseS3, true
	d := openWith(t, c, plainDeps(t))
	e, err := d.Explain(destinationtest.Delivery(t, 1, manyItems(3, 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"activity","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"metadata":{"summary_id":"s0","start_time":"2026-03-12T00:00:00Z"},"x":"x"}]}`
	if e.Target != fmt.Sprintf("bucket bucket at %s in region eu-central-1, the first of 3 objects", s.URL) || e.Key != "2022-03-16/activity/u1-2026-03-12T00:00:00Z.json" || e.Body != want {
		t.Errorf("got %+v", e)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Content-Encoding": "gzip", "X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Server-Side-Encryption": "AES256",
		"X-Amz-Meta-Fantail-Identity": "s0", "X-Amz-Meta-Fantail-Sha256": sum(want),
	} {
		if e.Headers.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, e.Headers.Get(name), value)
		}
	}
	if n := s.Requests("*"); n != 0 {
		t.Errorf("it made %d requests", n)
	}
}
