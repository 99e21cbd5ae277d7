package sqs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/internal/feed"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// intake takes batches, knows keys, and counts what comes twice.
type intake struct {
	mu    sync.Mutex
	lines map[string]string // dev_id and event, by key
	again int
	judge func(body string) (status int, code string) // nil: 202; called without the lock
	took  chan struct{}
}

func newIntake(t *testing.T) (*intake, *feed.Sink) {
	t.Helper()
	in := &intake{lines: map[string]string{}, took: make(chan struct{}, 1<<16)}
	server := httptest.NewServer(in)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return in, &feed.Sink{Mapping: feed.Mapping{Developer: "acme", Brand: "terra"}, Poster: feed.Poster{
		Client: c, Patience: feed.Forever, Grace: time.Minute, Now: time.Now, Waiting: func(error, time.Duration) {},
		Pause: func(ctx context.Context, _ time.Duration) bool {
			select {
			case <-time.After(time.Millisecond):
				return true
			case <-ctx.Done():
				return false
			}
		},
	}}
}

func (in *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s := bufio.NewScanner(bytes.NewReader(body))
	for n := 1; s.Scan(); n++ {
		var line struct {
			Dev, Reference string
			Key            string          `json:"idempotency_key"`
			Event          json.RawMessage `json:"event"`
		}
		if err := json.Unmarshal(bytes.Replace(s.Bytes(), []byte("dev_id"), []byte("dev"), 1), &line); err != nil {
			panic(err)
		}
		status, code := 202, ""
		if in.judge != nil {
			status, code = in.judge(string(line.Event))
		}
		if code != "" {
			fmt.Fprintf(w, `{"line":%d,"status":%d,"error":{"code":%q,"message":"because"}}`+"\n", n, status, code)
			continue
		}
		in.mu.Lock()
		if _, known := in.lines[line.Key]; known {
			in.again++
		} else {
			in.lines[line.Key] = strings.TrimSpace(line.Dev + " " + line.Reference + " " + string(line.Event))
			in.took <- struct{}{}
		}
		in.mu.Unlock()
		fmt.Fprintf(w, `{"line":%d,"status":%d,"id":"e","reference":"r","deliveries":1}`+"\n", n, status)
	}
}

func (in *intake) wait(t *testing.T, n int) {
	t.Helper()
	limit := time.After(time.Minute)
	for i := range n {
		select {
		case <-in.took:
		case <-limit:
			t.Fatalf("%d of %d events arrived in a minute", i, n)
		}
	}
}

// queue is one of fauxqs, and a client of it.
type queue struct {
	*api.Client
	url string
	o   Options
}

func newQueue(t *testing.T, suffix string) *queue {
	t.Helper()
	s := servers.StartSQS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	c := api.New(api.Options{Region: s.Region, BaseEndpoint: &s.Endpoint, Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")})
	in := &api.CreateQueueInput{QueueName: aws.String(servers.Name() + suffix)}
	if suffix != "" {
		in.Attributes = map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}
	}
	made, err := c.CreateQueue(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return &queue{c, *made.QueueUrl, Options{
		Queue: *made.QueueUrl, Region: s.Region, Endpoint: s.Endpoint, Visibility: 30 * time.Second, Receivers: 3, Note: func(text string) { t.Log(text) },
	}}
}

func (q *queue) send(t *testing.T, body string, attributes map[string]string) {
	t.Helper()
	in := &api.SendMessageInput{QueueUrl: &q.url, MessageBody: &body, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, value := range attributes {
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	if strings.HasSuffix(q.url, ".fifo") {
		in.MessageGroupId = aws.String("u1")
	}
	if _, err := q.SendMessage(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// left counts what is in the queue, shown or not.
func (q *queue) left(t *testing.T) string {
	t.Helper()
	out, err := q.GetQueueAttributes(t.Context(), &api.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

type running struct {
	stop context.CancelFunc
	end  chan error
}

func (q *queue) run(t *testing.T, sink *feed.Sink) *running {
	t.Helper()
	s, err := Open(t.Context(), q.o)
	if err != nil {
		t.Fatal(err)
	}
	if q.o.Dead != "" {
		sink.Dead = s
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel, make(chan error, 1)}
	go func() { r.end <- s.Run(ctx, sink) }()
	t.Cleanup(cancel)
	return r
}

func (r *running) stopped(t *testing.T) {
	t.Helper()
	r.stop()
	if err := <-r.end; err != nil {
		t.Error(err)
	}
}

func TestMessagesGoWhenTheDaemonHasThem(t *testing.T) {
	for _, suffix := range []string{"", ".fifo"} {
		q := newQueue(t, suffix)
		in, sink := newIntake(t)
		for i := range 30 {
			q.send(t, fmt.Sprintf(`{"type":"x","n":%d}`, i), map[string]string{"dev-id": "globex", "Terra-Reference": "ref"})
		}
		q.send(t, `{"type":"y"}`, nil)
		r := q.run(t, sink)
		in.wait(t, 31)
		r.stopped(t)
		if left := q.left(t); left != "0+0" || in.again != 0 {
			t.Errorf("%s: %s messages are left, %d came twice", suffix, left, in.again)
		}
		seen := map[string]bool{}
		for key, line := range in.lines {
			if !strings.HasPrefix(key, "sqs/") {
				t.Errorf("key %q", key)
			}
			seen[line] = true
		}
		if len(seen) != 31 || !seen[`globex ref {"type":"x","n":29}`] || !seen[`acme  {"type":"y"}`] {
			t.Errorf("%v", seen)
		}
	}
}

// While the daemon is busy for longer than the visibility, no other consumer is shown the message; at
// the end it is shown at once.
func TestABusyDaemonHoldsMessages(t *testing.T) {
	q := newQueue(t, "")
	q.o.Visibility, q.o.Receivers = 6*time.Second, 1 // a busy machine has three of them to ask for more
	in, sink := newIntake(t)
	asked := make(chan struct{}, 1)
	in.judge = func(string) (int, string) {
		select {
		case asked <- struct{}{}:
		default:
		}
		return 503, "unavailable"
	}
	q.send(t, `{"type":"x"}`, nil)
	r := q.run(t, sink)
	<-asked
	out, err := q.ReceiveMessage(t.Context(), &api.ReceiveMessageInput{QueueUrl: &q.url, WaitTimeSeconds: 8})
	if err != nil || len(out.Messages) != 0 {
		t.Errorf("another consumer is shown %d messages, %v", len(out.Messages), err)
	}
	r.stopped(t)
	if left := q.left(t); left != "1+0" {
		t.Errorf("%s messages are left, want one that is shown", left)
	}
}

func TestARefusedMessage(t *testing.T) {
	q, dead := newQueue(t, ""), newQueue(t, ".fifo")
	in, sink := newIntake(t)
	in.judge = func(body string) (int, string) {
		if strings.Contains(body, "bad") {
			return 404, "unknown_developer"
		}
		return 202, ""
	}
	q.send(t, `{"type":"bad"}`, nil)
	r := q.run(t, sink)
	if refused, ok := feed.Refused(<-r.end); !ok || refused.Code != "unknown_developer" || len(refused.Record.ID) != 36 {
		t.Errorf("%+v", refused)
	}
	if left := q.left(t); left != "1+0" {
		t.Errorf("%s messages are left", left)
	}

	q.o.Dead = dead.url
	r = q.run(t, sink)
	out, err := dead.ReceiveMessage(t.Context(), &api.ReceiveMessageInput{QueueUrl: &dead.url, WaitTimeSeconds: 10})
	if err != nil || len(out.Messages) != 1 || !strings.Contains(*out.Messages[0].Body, `"code":"unknown_developer"`) {
		t.Fatalf("%d letters, %v", len(out.Messages), err)
	}
	r.stopped(t)
	if left := q.left(t); left != "0+0" {
		t.Errorf("%s messages are left", left)
	}
}

func TestAQueueThatIsNotThere(t *testing.T) {
	q := newQueue(t, "")
	q.o.Queue += "-nowhere"
	if _, err := Open(t.Context(), q.o); err == nil || !strings.Contains(err.Error(), "-nowhere") {
		t.Errorf("%v", err)
	}
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	q.o.Region = ""
	if _, err := Open(t.Context(), q.o); err == nil || !strings.Contains(err.Error(), "--region") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsHopeless(t *testing.T) {
	answers := []string{`{"__type":"com.amazonaws.sqs#RequestThrottled","message":"no"}`, `{"__type":"com.amazonaws.sqs#AccessDenied","message":"no"}`}
	for i, want := range []bool{false, true} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(403)
			io.WriteString(w, answers[i])
		}))
		c := api.New(api.Options{Region: "eu-west-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
		_, err := c.ReceiveMessage(t.Context(), &api.ReceiveMessageInput{QueueUrl: aws.String(server.URL + "/q")})
		if hopeless(err) != want {
			t.Errorf("%v: %v", err, hopeless(err))
		}
		server.Close()
	}
}

// A developer who is named in a binary attribute is named: the event is not somebody else's.
func TestAttributesOfAnyTypeAreHeaders(t *testing.T) {
	m := types.Message{MessageId: aws.String("1"), MessageAttributes: map[string]types.MessageAttributeValue{
		"Dev-Id":                   {DataType: aws.String("Binary"), BinaryValue: []byte("acme")},
		"terra-ordering-timestamp": {DataType: aws.String("Number"), StringValue: aws.String("1782897153007")},
	}}
	r := record(&m)
	if r.Headers["dev-id"] != "acme" || r.Headers["terra-ordering-timestamp"] != "1782897153007" || len(r.Body) != 0 {
		t.Errorf("%+v", r)
	}
}
