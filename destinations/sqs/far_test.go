package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

const (
	roleARN    = "arn:aws:iam::" + strictaws.Account + ":role/fantail"
	externalID = "external-id-of-acme"
)

// far is a queue of strictaws and the bucket beside it.
type far struct {
	*strictaws.Server
	queue  string // its name
	url    string
	config func(*Config)
	shared bool        // payloads are the operator's
	down   atomic.Bool // the operator's store
	kept   []string    // bodies of messages in queues that were removed
}

func newFar(tb testing.TB, queue string, change func(*Config)) *far {
	f := &far{Server: strictaws.New(tb), queue: queue, config: change}
	f.url = f.AddQueue(strictaws.Queue{Name: queue})
	f.AddBucket(strictaws.Bucket{Name: "payloads"})
	f.AddRole(strictaws.Role{ARN: roleARN, ExternalID: externalID})
	return f
}

// settings are those of a queue that is named and a bucket beside it.
func (f *far) settings() Config {
	c := defaults()
	c.Queue, c.Region, c.Endpoint, c.AllowHTTP = f.queue, f.Region, f.URL, true
	c.AccessKeyID, c.SecretAccessKey = secret.New(strictaws.AccessKey), secret.New(strictaws.SecretKey)
	if !f.shared {
		c.Payloads.S3 = f.bucket()
	}
	if f.config != nil {
		f.config(&c)
	}
	return c
}

func (f *far) bucket() *aws.BucketSettings {
	return &aws.BucketSettings{Bucket: "payloads", Settings: aws.Settings{
		Region: f.Region, Endpoint: f.URL, AllowHTTP: true, AccessKeyID: secret.New(strictaws.AccessKey), SecretAccessKey: secret.New(strictaws.SecretKey),
	}}
}

// Open goes the way of the engine: through the Definition.
func (f *far) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	tb.Helper()
	deps.Catalogue = event.DefaultCatalogue()
	if f.shared {
		b, err := aws.OpenBucket(*f.bucket(), deps)
		if err != nil {
			tb.Fatal(err)
		}
		destinationtest.Lend(&deps, &operator{b, &f.down})
	}
	return openWith(tb, f.settings(), deps)
}

func openWith(tb testing.TB, c Config, deps destination.Deps) destination.Destination {
	tb.Helper()
	start, err := Definition().Bind(func(into any) error {
		*into.(*Config) = c
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	d, err := start(deps)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// operator is the operator's payload store, which blames nobody else.
type operator struct {
	*aws.Bucket
	down *atomic.Bool
}

func (o *operator) Put(ctx context.Context, developer string, p event.Payload) error {
	if o.down.Load() || o.Bucket.Put(ctx, developer, p) != nil {
		return fmt.Errorf("payload store: %w", destination.ErrEngine)
	}
	return nil
}

// Stored reads the messages as a consumer would.
func (f *far) Stored(tb testing.TB) (all [][]byte) {
	tb.Helper()
	for _, body := range append(f.kept, f.bodies()...) {
		all = append(all, opened(tb, body))
	}
	return all
}

func (f *far) bodies() (all []string) {
	for _, m := range f.Messages(f.url) {
		all = append(all, m.Body)
	}
	return all
}

// opened returns the event that a message is, or points to.
func opened(tb testing.TB, message string) []byte {
	tb.Helper()
	var p struct{ Type, URL string }
	if err := json.Unmarshal([]byte(message), &p); err != nil {
		tb.Errorf("a message is no JSON: %v: %.300q", err, message)
		return nil
	}
	if p.Type != "s3_payload" {
		return []byte(message)
	}
	status, body, err := fetch(p.URL)
	if err != nil || status != http.StatusOK {
		tb.Errorf("follow the link of %.300s: %d %.300s %v", message, status, body, err)
	}
	return body
}

// brief is a client that keeps no connection, which would look like one that
// the destination left.
func brief() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
}

func fetch(url string) (status int, body []byte, err error) {
	resp, err := brief().Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// Break makes the failures of failures come true.
func (f *far) Break(_ testing.TB, want destinationtest.Failure) {
	send := func(x strictaws.Fault) { f.Fail("SendMessageBatch", x) }
	entries := func(x strictaws.Fault) {
		f.FailEntries(func(string) (strictaws.Fault, bool) { return x, true })
	}
	switch want.Name {
	case "throttled":
		send(strictaws.Fault{Status: 400, Code: "RequestThrottled", Message: "slower"})
	case "throttled with a wait":
		send(strictaws.Fault{Status: 429, Code: "ThrottlingException", Message: "slower", Header: http.Header{"Retry-After": {"7"}}})
	case "denied":
		f.Deny("sqs:SendMessage")
	case "a removed queue":
		f.kept = append(f.kept, f.bodies()...)
		f.RemoveQueue(f.url)
	case "a key that may not be used":
		send(strictaws.Fault{Status: 400, Code: "KMS.AccessDeniedException", Type: "KmsAccessDenied", Message: "no"})
	case "a key that is throttled":
		send(strictaws.Fault{Status: 400, Code: "KMS.ThrottlingException", Type: "KmsThrottled", Message: "slower"})
	case "an internal error":
		send(strictaws.Fault{Status: 500, Code: "InternalError", Message: strings.Repeat("long ", 1<<10)})
	case "an internal error of each":
		entries(strictaws.Fault{Status: 500, Code: "InternalError", Message: strings.Repeat("long ", 1<<10)})
	case "each throttled":
		entries(strictaws.Fault{Status: 400, Code: "RequestThrottled", Message: "slower"})
	case "a gateway's page":
		send(strictaws.Fault{Status: 502, Raw: "<html><body>bad gateway</body></html>"})
	case "an echo":
		send(strictaws.Fault{Status: 500, Code: "InternalError", Message: "you said", Echo: true})
	case "an echo of each":
		f.FailEntries(func(body string) (strictaws.Fault, bool) {
			return strictaws.Fault{Status: 500, Code: "InternalError", Message: strictaws.SecretKey + body}, true
		})
	case "garbage":
		send(answered("{"))
	case "an answer about nothing":
		send(answered(`{"Successful":[],"Failed":[]}`))
	case "a broken connection":
		send(strictaws.Fault{Breaks: true})
	case "the operator's store down":
		f.down.Store(true)
	default:
		panic("nobody knows how to break " + want.Name)
	}
}

// answered is a success with that body, as SQS would label it.
func answered(body string) strictaws.Fault {
	return strictaws.Fault{Status: 200, Raw: body, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}}
}

func (f *far) Mend(testing.TB) {
	f.Server.Mend()
	f.down.Store(false)
	if len(f.Messages(f.url)) == 0 {
		f.AddQueue(strictaws.Queue{Name: f.queue})
	}
}

// deliveries of the tests that are not the suite's.
func sleep(tb testing.TB, n int) destination.Delivery {
	return destinationtest.Delivery(tb, n, fmt.Appendf(nil, `{"type":"sleep","version":"2022-03-16","n":%d,"user":{"user_id":"u%d","reference_id":"ref"},"data":[{"a":1},{"a":2}]}`, n, n))
}

func healthcheck(tb testing.TB, n, size int) destination.Delivery {
	body := `{"type":"healthcheck","text":""}`
	return destinationtest.Delivery(tb, n, []byte(strings.Replace(body, `""`, `"`+strings.Repeat("x", max(0, size-len(body)))+`"`, 1)))
}

// deps are what the engine lends, without a guard.
func deps(tb testing.TB) destination.Deps {
	return destination.Deps{HTTP: exchangetest.Client(tb, nil, nil).HTTP(), Catalogue: event.DefaultCatalogue(), Brand: "terra", UserAgent: "Fantail/test"}
}

func (f *far) open(t *testing.T) *sender {
	t.Helper()
	d := f.Open(t, deps(t)).(*sender)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func classOf(err error) string {
	if err == nil {
		return "sent"
	}
	class, _ := destination.ClassOf(err)
	if errors.Is(err, destination.ErrEngine) {
		return "engine"
	}
	return class.String()
}
