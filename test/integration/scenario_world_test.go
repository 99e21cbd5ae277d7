package integration

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// world is what the destinations of the scenario talk to: servers of others, each behind a network of
// its own that can be made faulty.
type world struct {
	webhooks *receiver
	s3       *s3.Client
	gcs      servers.GCS

	bucket, payloads, gcsBucket string // payloads is of one destination's own
	standard, ordered, light    queue  // at LocalStack, and FIFO there; at fauxqs

	network []*faults.Proxy
	dir     string // settings of the developer
}

// all does the same to the whole network.
func (w *world) all(fault func(*faults.Proxy)) {
	for _, p := range w.network {
		fault(p)
	}
}

// behind returns the address of a faulty network before a server.
func (w *world) behind(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := faults.New(t, u.Host)
	w.network = append(w.network, p)
	u.Host = p.Addr
	return u.String()
}

const ownTTL = 5 * time.Second // of links to the destination's own bucket

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{webhooks: newReceiver(t, nil), gcs: servers.StartGCS(t), bucket: servers.Name(), payloads: servers.Name()}
	objects, cloud, light := servers.StartS3(t), servers.StartLocalStack(t), servers.StartSQS(t)
	w.s3 = s3.New(s3.Options{Region: objects.Region, BaseEndpoint: &objects.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(objects.AccessKey, objects.SecretKey, "")})
	for _, name := range []string{w.bucket, w.payloads} {
		if _, err := w.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
	}
	w.gcsBucket = w.gcs.Bucket(t)
	w.standard = newQueue(t, cloud.Endpoint, cloud.Region, cloud.AccessKey, cloud.SecretKey, "")
	w.ordered = newQueue(t, cloud.Endpoint, cloud.Region, cloud.AccessKey, cloud.SecretKey, ".fifo")
	w.light = newQueue(t, light.Endpoint, light.Region, light.AccessKey, light.SecretKey, "")

	awsKeys := func(endpoint, region, key, secret string) string {
		return fmt.Sprintf("endpoint: %q, allow_http: true, region: %s, access_key_id: %q, secret_access_key: %q", endpoint, region, key, secret)
	}
	bucket := awsKeys(w.behind(t, objects.Endpoint), objects.Region, objects.AccessKey, objects.SecretKey)
	local := awsKeys(w.behind(t, cloud.Endpoint), cloud.Region, cloud.AccessKey, cloud.SecretKey)
	var b strings.Builder
	b.WriteString("developer: acme\ndestinations:\n")
	// One delivery at a time: while an object is written, versitygw may show the metadata of one version
	// with the ETag of another, which S3 never does.
	add := func(name, kind, more, settings string, args ...any) {
		fmt.Fprintf(&b, "  - { name: %s, kind: %s, timeout: 5s, %sretry: { waits: [100ms, 200ms%s] }, settings: { %s } }\n",
			name, kind, more, strings.Repeat(", 500ms", 98), fmt.Sprintf(settings, args...))
	}
	add("app", "webhook", "", "url: %q, secret: secret-of-acme, allow_http: true", w.behind(t, w.webhooks.URL))
	add("objects", "s3", "max_in_flight: 1, ", "bucket: %s, %s", w.bucket, bucket)
	add("google", "gcs", "", "bucket: %s, endpoint: %q, allow_http: true, anonymous: true", w.gcsBucket, w.behind(t, w.gcs.Endpoint))
	add("queue", "sqs", "", "queue: %q, %s", *w.standard.url, local) // a look-up of a name comes first: its answer would be lost
	add("ordered", "sqs", "", "queue: %q, %s", *w.ordered.url, local)
	add("own", "sqs", "", "queue: %s, link_ttl: %s, payloads: { s3: { bucket: %s, %s } }, %s",
		w.light.name, ownTTL, w.payloads, bucket, awsKeys(w.behind(t, light.Endpoint), light.Region, light.AccessKey, light.SecretKey))
	w.dir = b.String()
	return w
}

// hasEverything compares every far side with the contract.
func (w *world) hasEverything(t *testing.T, d *daemon, events []*sent) {
	t.Helper()
	if areRequests(t, w.webhooks.all(), "secret-of-acme", d.traces(t, "app", events)) == 0 {
		t.Error("no webhook came twice, although answers were lost")
	}
	isWhatIsWanted(t, "S3", inS3(t, w.s3, w.bucket), events)
	isWhatIsWanted(t, "GCS", inGCS(t, w.gcs, w.gcsBucket), events)

	messages, repeats := areMessages(t, "standard queue", w.standard.receive(t), d.traces(t, "queue", events))
	if repeats == 0 {
		t.Error("no message came twice, although answers were lost")
	}
	linksHold(t, "standard queue", messages, 10*time.Minute)
	messages, repeats = areMessages(t, "FIFO queue", w.ordered.receive(t), d.traces(t, "ordered", events))
	if repeats > 0 {
		t.Errorf("%d messages came twice out of a FIFO queue", repeats)
	}
	areInGroups(t, messages)
	linksHold(t, "FIFO queue", messages, 10*time.Minute)
	w.ordered.takesAgain(t, d, messages)
	w.hasOwnPayloads(t, d, events)

	link, err := d.Link(t.Context(), client.LinkRequest{Payload: events[0].id, TTL: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if body := fetched(t, link.URL); body != string(events[0].body) {
		t.Errorf("a link answers %.200q", body)
	}
	ended(t, link.URL)
}

// takesAgain has a person send a message again within the five minutes in which a
// FIFO queue drops repeats.
func (q queue) takesAgain(t *testing.T, d *daemon, messages map[string]message) {
	t.Helper()
	for trace, m := range messages {
		for round := 1; round <= 2; round++ {
			if _, err := d.Retry(t.Context(), trace); err != nil {
				t.Fatal(err)
			}
			var again []types.Message
			until(t, "a retry by hand brings a message", func() bool { again = q.receive(t); return len(again) > 0 })
			got, _ := areMessages(t, "retry by hand", again, map[string]*sent{trace: m.event})
			if id := got[trace].Attributes["MessageDeduplicationId"]; id != fmt.Sprint(trace, ".", round) || *got[trace].MessageId == *m.MessageId {
				t.Errorf("round %d has the deduplication id %s", round, id)
			}
			until(t, "it is delivered", func() bool {
				now, err := d.Delivery(t.Context(), trace)
				return err == nil && now.State == "delivered"
			})
		}
		return
	}
}

// hasOwnPayloads compares the queue whose payloads lie in its own bucket. Links to them have ended by
// now, and a retry makes a fresh one.
func (w *world) hasOwnPayloads(t *testing.T, d *daemon, events []*sent) {
	t.Helper()
	traces := d.traces(t, "own", events)
	messages, _ := areMessages(t, "own payloads", w.light.receive(t), traces)
	payloads := inS3(t, w.s3, w.payloads)
	for _, m := range messages {
		if m.link == "" {
			continue
		}
		accepted, err := d.Event(t.Context(), m.event.id)
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%s/acme/%s.json", accepted.Accepted.UTC().Format(time.DateOnly), m.event.id)
		if o := payloads[key]; o.contentType != "application/json" || string(o.body) != string(m.event.body) {
			t.Errorf("the payload %s of %s is %s: %.200q", key, m.event.name, o.contentType, o.body)
		}
		delete(payloads, key)
		ended(t, m.link)
		if m.lives > ownTTL {
			t.Errorf("%s: expires_in says %v", m.event.name, m.lives)
		}
	}
	for key := range payloads {
		t.Errorf("nobody asked for the payload %s", key)
	}
	for trace, m := range messages {
		if m.link == "" {
			continue
		}
		if _, err := d.Retry(t.Context(), trace); err != nil {
			t.Fatal(err)
		}
		var again []types.Message
		until(t, "a retry brings a fresh link", func() bool { again = w.light.receive(t); return len(again) > 0 })
		fresh, _ := areMessages(t, "retry", again, map[string]*sent{trace: m.event})
		if body := fetched(t, fresh[trace].link); body != string(m.event.body) {
			t.Errorf("a fresh link answers %.200q", body)
		}
		return
	}
}
