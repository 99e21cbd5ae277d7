package sqs

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/internal/feed"
	"github.com/seed-51f8da91/fantail/internal/feed/feedtest"
	"github.com/seed-51f8da91/fantail/test/servers"
)

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
		Queue: *made.QueueUrl, Region: s.Region, Endpoint: s.Endpoint, Visibility: 30 * time.Second, Receivers: 3, Note: feedtest.Note(t),
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

func (q *queue) run(t *testing.T, sink *feed.Sink) *feedtest.Running {
	t.Helper()
	s, err := Open(t.Context(), q.o)
	if err != nil {
		t.Fatal(err)
	}
	if q.o.Dead != "" {
		sink.Dead = s
	}
	return feedtest.Run(t, s, sink)
}

func TestMessagesGoWhenTheDaemonHasThem(t *testing.T) {
	for _, suffix := range []string{"", ".fifo"} {
		q := newQueue(t, suffix)
		in, sink := feedtest.New(t)
		for i := range 30 {
			q.send(t, fmt.Sprintf(`{"type":"x","n":%d}`, i), map[string]string{"dev-id": "globex", "Terra-Reference": "ref"})
		}
		q.send(t, `{"type":"y"}`, nil)
		r := q.run(t, sink)
		in.Wait(t, 31)
		r.Stop(t)
		lines, again := in.Taken()
		if left := q.left(t); left != "0+0" || again != 0 {
			t.Errorf("%s: %s messages are left, %d came twice", suffix, left, again)
		}
		seen := map[string]bool{}
		for key, line := range lines {
			if !strings.HasPrefix(key, "sqs/") {
				t.Errorf("key %q", key)
			}
			seen[line.Developer+" "+line.Reference+" "+string(line.Event)] = true
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
	q.o.Visibility, q.o.Receivers = 6*time.Second, 1 // it is renewed every 2 s, which a busy machine makes later
	in, sink := feedtest.New(t)
	asked := make(chan struct{}, 1)
	in.Judge(func(string) (int, string) {
		select {
		case asked <- struct{}{}:
		default:
		}
		return 503, "unavailable"
	})
	q.send(t, `{"type":"x"}`, nil)
	r := q.run(t, sink)
	<-asked
	out, err := q.ReceiveMessage(t.Context(), &api.ReceiveMessageInput{QueueUrl: &q.url, WaitTimeSeconds: 9})
	if err != nil || len(out.Messages) != 0 {
		t.Errorf("another consumer is shown %d messages, %v", len(out.Messages), err)
	}
	r.Stop(t)
	if left := q.left(t); left != "1+0" {
		t.Errorf("%s messages are left, want one that is shown", left)
	}
}

func TestARefusedMessage(t *testing.T) {
	q, dead := newQueue(t, ""), newQueue(t, ".fifo")
	in, sink := feedtest.New(t)
	in.Judge(func(body string) (int, string) {
		if strings.Contains(body, "bad") {
			return 404, "unknown_developer"
		}
		return 202, ""
	})
	q.send(t, `{"type":"bad"}`, nil)
	r := q.run(t, sink)
	if refused, ok := feed.Refused(r.End()); !ok || refused.Code != "unknown_developer" || len(refused.Record.ID) != 36 {
		t.Errorf("%+v", refused)
	}
	if left := q.left(t); left != "1+0" {
		t.Errorf("%s messages are left", left)
	}

	q.o.Dead = dead.url
	r = q.run(t, sink)
	out, err := dead.ReceiveMessage(t.Context(), &api.ReceiveMessageInput{QueueUrl: &dead.url, WaitTimeSeconds: 20})
	for range 2 {
		if err == nil && len(out.Messages) == 0 {
			out, err = dead.ReceiveMessage(t.Context(), &api.ReceiveMessageInput{QueueUrl: &dead.url, WaitTimeSeconds: 20})
		}
	}
	if err != nil || len(out.Messages) != 1 || !strings.Contains(*out.Messages[0].Body, `"code":"unknown_developer"`) {
		t.Fatalf("%d letters, %v", len(out.Messages), err)
	}
	r.Stop(t)
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
