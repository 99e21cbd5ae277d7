package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/test/servers"
)

const (
	roleARN    = "arn:aws:iam::000000000000:role/fantail"
	externalID = "external-id-of-acme"
)

// tap passes everything on to LocalStack and notes as whom it was asked.
type tap struct {
	*httptest.Server
	mu      sync.Mutex
	assumed []url.Values    // requests to assume a role
	keys    map[string]bool // access keys of all others
	without []string        // requests with a key of its own, or without any session
}

var credential = regexp.MustCompile(`Credential=([^/]+)/[^/]+/[^/]+/(\w+)/`)

func newTap(t *testing.T, to servers.AWS) *tap {
	t.Helper()
	u, err := url.Parse(to.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{keys: map[string]bool{}}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host // which is signed
	}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.note(r, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { p.CloseClientConnections(); p.Close() })
	return p
}

func (p *tap) note(r *http.Request, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Query().Has("X-Amz-Signature") {
		return // a consumer
	}
	as := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	switch {
	case as != nil && as[2] == "sts":
		form, _ := url.ParseQuery(string(body))
		p.assumed = append(p.assumed, form)
	case as == nil || as[1] == "test" || r.Header.Get("X-Amz-Security-Token") == "":
		p.without = append(p.without, r.Method+" "+r.URL.Path)
	default:
		p.keys[as[1]] = true
	}
}

// A role is assumed with its external id. Everything is done as that role: objects, messages,
// payloads, and the links to them.
func TestEverythingIsDoneAsTheAssumedRole(t *testing.T) {
	cloud := servers.StartLocalStack(t)
	front := newTap(t, cloud)
	admin := s3.New(s3.Options{Region: cloud.Region, BaseEndpoint: &cloud.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(cloud.AccessKey, cloud.SecretKey, "")})
	bucket, payloads := servers.Name(), servers.Name()
	for _, name := range []string{bucket, payloads} {
		if _, err := admin.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
	}
	ordered := newQueue(t, cloud.Endpoint, cloud.Region, cloud.AccessKey, cloud.SecretKey, ".fifo")

	h := newHome(t)
	h.write("fantail.yaml", plain)
	role := fmt.Sprintf("endpoint: %q, sts_endpoint: %[1]q, allow_http: true, region: %s, access_key_id: %q, secret_access_key: %q, role_arn: %q, external_id: %q",
		front.URL, cloud.Region, cloud.AccessKey, cloud.SecretKey, roleARN, externalID)
	h.write("developers/acme.yaml", fmt.Sprintf(`developer: acme
destinations:
  - { name: objects, kind: s3, settings: { bucket: %s, %s } }
  - { name: ordered, kind: sqs, settings: { queue: %s, payloads: { s3: { bucket: %s, %[2]s } }, %[2]s } }
`, bucket, role, ordered.name, payloads))
	d := h.start()
	events := scenarioEvents(t)
	d.accept(t, events)
	d.balanced(t)

	isWhatIsWanted(t, "S3", inS3(t, admin, bucket), events)
	messages, repeats := areMessages(t, "FIFO queue", ordered.receive(t), d.traces(t, "ordered", events))
	if repeats > 0 {
		t.Errorf("%d messages came twice", repeats)
	}
	areInGroups(t, messages)
	linksHold(t, "FIFO queue", messages, 10*time.Minute)
	for _, m := range messages {
		if m.link != "" && !strings.Contains(m.link, "X-Amz-Security-Token=") {
			t.Fatalf("the link of %s is not the role's: %s", m.event.name, m.link)
		}
	}

	front.mu.Lock()
	defer front.mu.Unlock()
	for _, form := range front.assumed {
		if form.Get("Action") != "AssumeRole" || form.Get("RoleArn") != roleARN || form.Get("ExternalId") != externalID || form.Get("RoleSessionName") == "" {
			t.Errorf("the role was asked for with %v", form)
		}
	}
	if len(front.assumed) == 0 || len(front.keys) == 0 {
		t.Errorf("the role was asked for %d times, and %d keys were used", len(front.assumed), len(front.keys))
	}
	if len(front.without) > 0 {
		t.Errorf("%d requests were not the role's: %s ...", len(front.without), front.without[0])
	}
}
