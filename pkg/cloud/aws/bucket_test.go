package aws

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

const (
	testEvent   = "019f1cf3-984b-7000-8000-000000000001" // of 2026-07-01
	testPayload = testEvent + "-12"
)

// TestPayloadsAtARealServer: put, put again, link, fetch, tamper, expire.
func TestPayloadsAtARealServer(t *testing.T) {
	s := servers.StartS3(t)
	name := servers.Name()
	admin := s3.New(s3.Options{Region: s.Region, BaseEndpoint: &s.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")})
	if _, err := admin.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	b, err := OpenBucket(BucketSettings{Bucket: name, Prefix: "payloads", Settings: Settings{
		Region: s.Region, Endpoint: s.Endpoint, AllowHTTP: true, AccessKeyID: secret.New(s.AccessKey), SecretAccessKey: secret.New(s.SecretKey),
	}}, plainDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	body := []byte("{ \"type\":\"sleep\", \"n\":1e400 }\n")
	for _, put := range [][]byte{body, []byte("another body under the same id")} {
		if err := b.Put(t.Context(), "acme", event.Payload{ID: testPayload, Body: put}); err != nil {
			t.Fatal(err)
		}
	}
	o, err := admin.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &name, Key: ptr("payloads/2026-07-01/acme/" + testPayload + ".json")})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	if got, _ := io.ReadAll(o.Body); !bytes.Equal(got, body) || *o.ContentType != "application/json" {
		t.Errorf("it holds %q, %s", got, *o.ContentType)
	}

	link, err := b.Link(t.Context(), "acme", testPayload, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if status, got := fetch(t, link.URL); status != http.StatusOK || got != string(body) {
		t.Errorf("the link answers %d %q", status, got)
	}
	if err := b.Put(t.Context(), "acme", event.Payload{ID: testPayload + event.ItemSuffix, Body: []byte("the item alone")}); err != nil {
		t.Fatal(err)
	}
	if item, err := b.Link(t.Context(), "acme", testPayload+event.ItemSuffix, time.Minute); err != nil {
		t.Error(err)
	} else if status, got := fetch(t, item.URL); status != http.StatusOK || got != "the item alone" {
		t.Errorf("the link to the item answers %d %q", status, got)
	}
	tampered := strings.Replace(link.URL, "-12.json", "-13.json", 1)
	if status, _ := fetch(t, tampered); tampered == link.URL || status != http.StatusForbidden {
		t.Errorf("a tampered link answers %d", status)
	}
	if left := time.Until(link.Expires); left > time.Minute || left < 50*time.Second {
		t.Errorf("it says that it lives %v", left)
	}
}

func fetch(t *testing.T, link string) (int, string) {
	t.Helper()
	resp, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestALinkTellsTheTruth about how long it lives: it is good until Expires and
// bad a few seconds later, whatever it was asked for.
func TestALinkTellsTheTruth(t *testing.T) {
	cases := []struct {
		name     string
		roleLife time.Duration // 0: the key of a user
		ttl      time.Duration
		want     time.Duration
	}{
		{"as asked", 0, 10 * time.Minute, 10 * time.Minute},
		{"the most of SigV4", 0, 30 * 24 * time.Hour, 7 * 24 * time.Hour},
		{"the credentials end first", 40 * time.Minute, time.Hour, 40 * time.Minute},
		{"a role lives longer", time.Hour, 10 * time.Minute, 10 * time.Minute},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := strictaws.New(t)
			s.AddBucket(strictaws.Bucket{Name: "payloads"})
			settings := strictSettings(s)
			if c.roleLife > 0 {
				s.AddRole(strictaws.Role{ARN: testRole, Life: c.roleLife})
				settings.RoleARN, settings.STSEndpoint = testRole, s.URL
			}
			b := bucketOf(t, settings, plainDeps(t))
			if err := b.Put(t.Context(), "acme", event.Payload{ID: testEvent, Body: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			before := time.Now()
			link, err := b.Link(t.Context(), "acme", testEvent, c.ttl)
			if err != nil {
				t.Fatal(err)
			}
			if got := link.Expires.Sub(before); got > c.want || got < c.want-3*time.Second {
				t.Errorf("it says %v, want %v", got, c.want)
			}
			s.Advance(time.Until(link.Expires) - 5*time.Second)
			if status, _ := fetch(t, link.URL); status != http.StatusOK {
				t.Errorf("five seconds before its end: %d", status)
			}
			s.Advance(10 * time.Second)
			if status, _ := fetch(t, link.URL); status/100 != 4 {
				t.Errorf("five seconds behind its end: %d", status)
			}
		})
	}
}

func TestKeysLeadNowhereElse(t *testing.T) {
	b := &Bucket{prefix: "p/"}
	for _, c := range []struct{ developer, id, want string }{
		{"acme", testEvent, "p/2026-07-01/acme/" + testEvent + ".json"},
		{"acme", testPayload, "p/2026-07-01/acme/" + testPayload + ".json"},
		{"acme", testEvent + "-item", "p/2026-07-01/acme/" + testEvent + "-item.json"},
		{"acme", testPayload + "-item", "p/2026-07-01/acme/" + testPayload + "-item.json"},
		{"acme", testEvent + "-item-item", ""},
		{"acme", testEvent + "-item-1", ""},
		{"", testEvent, ""},
		{"..", testEvent, ""},
		{"a/b", testEvent, ""},
		{"a%2fb", testEvent, ""},
		{"acme", "", ""},
		{"acme", testEvent + "-", ""},
		{"acme", testEvent + "/../x", ""},
		{"acme", testEvent + "-1/2", ""},
		{"acme", strings.ToUpper(testEvent), ""},
	} {
		if got, err := b.key(c.developer, c.id); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q, %q: %q, %v", c.developer, c.id, got, err)
		}
	}
}

// TestAddresses: where requests go, by settings.
func TestAddresses(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name     string
		bucket   string
		endpoint string
		style    *bool
		want     string
	}{
		{"AWS", "payloads", "", nil, "https://payloads.s3.eu-west-1.amazonaws.com/"},
		{"AWS, path style", "payloads", "", &yes, "https://s3.eu-west-1.amazonaws.com/payloads/"},
		{"AWS, dots", "my.payloads", "", nil, "https://s3.eu-west-1.amazonaws.com/my.payloads/"},
		{"an endpoint", "payloads", "https://minio.example:9000", nil, "https://minio.example:9000/payloads/"},
		{"an endpoint with hosts", "payloads", "https://fra1.spaces.example", &no, "https://payloads.fra1.spaces.example/"},
		{"an endpoint with a path", "payloads", "https://project.example/storage/v1/s3", nil, "https://project.example/storage/v1/s3/payloads/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got *http.Request
			deps := plainDeps(t)
			deps.HTTP = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				got = req
				return &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"1"`}}, Body: http.NoBody}, nil
			})}
			s := settings()
			s.Endpoint = c.endpoint
			b, err := OpenBucket(BucketSettings{Bucket: c.bucket, PathStyle: c.style, Settings: s}, deps)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := b.Put(t.Context(), "acme", event.Payload{ID: testEvent, Body: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			got.URL.RawQuery = ""
			key := "2026-07-01/acme/" + testEvent + ".json"
			if got.URL.String() != c.want+key || got.Header.Get("User-Agent") != "Fantail/test" || got.Header.Get("If-None-Match") != "*" {
				t.Errorf("%s %v", got.URL, got.Header)
			}
			link, err := b.Link(t.Context(), "acme", testEvent, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(link.URL)
			if err != nil {
				t.Fatal(err)
			}
			u.RawQuery = ""
			if u.String() != c.want+key {
				t.Errorf("the link leads to %s", u)
			}
		})
	}
}

// TestAPayloadStoresFaultsAreClassified as those of a destination's own bucket.
func TestAPayloadStoresFaultsAreClassified(t *testing.T) {
	s := strictaws.New(t)
	b := bucketOf(t, strictSettings(s), plainDeps(t))
	err := b.Put(t.Context(), "acme", event.Payload{ID: testEvent, Body: []byte("{}")})
	if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "store payload "+testEvent+" in bucket payloads (the bucket does not exist") {
		t.Errorf("no bucket: %v", err)
	}
	s.AddBucket(strictaws.Bucket{Name: "payloads"})
	s.Fail("PutObject", strictaws.Fault{Status: 503, Code: "SlowDown", Times: 1})
	if class, _ := destination.ClassOf(b.Put(t.Context(), "acme", event.Payload{ID: testEvent, Body: []byte("{}")})); class != destination.Throttled {
		t.Error("slow down is not throttled")
	}
	if err := b.Put(t.Context(), "acme", event.Payload{ID: testEvent, Body: []byte("{}")}); err != nil {
		t.Errorf("it does not recover: %v", err)
	}
	conflict := strictaws.Fault{Status: 409, Code: "ConditionalRequestConflict", Times: 2}
	s.Fail("PutObject", conflict)
	if err := b.Put(t.Context(), "acme", event.Payload{ID: testPayload, Body: []byte("{}")}); err != nil {
		t.Errorf("while another destination puts it: %v", err)
	}
	s.Fail("PutObject", strictaws.Fault{Status: 501, Code: "NotImplemented", Times: 1})
	if err := b.Put(t.Context(), "acme", event.Payload{ID: testPayload + "0", Body: []byte("{}")}); err != nil {
		t.Errorf("a service without conditional writes: %v", err)
	}
	conflict.Times = rounds
	s.Fail("PutObject", conflict)
	if class, _ := destination.ClassOf(b.Put(t.Context(), "acme", event.Payload{ID: testEvent, Body: []byte("{}")})); class != destination.Transient {
		t.Error("a conflict without end is not transient")
	}
}
