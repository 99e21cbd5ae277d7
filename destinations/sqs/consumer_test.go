package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// README.md shows what stands between the two lines.
// ---
// consume hands every event to store, which must not mind a repeat of a trace
// id, and takes a message out of the queue once its event is stored. links is
// what all links begin with, such as
// https://acme-payloads.s3.eu-west-1.amazonaws.com/: no other is followed.
func consume(ctx context.Context, q *sqs.Client, queue, links string, store func(trace string, event []byte) error) error {
	for {
		out, err := q.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 20, MessageAttributeNames: []string{"trace-id"},
		})
		if err != nil {
			return err
		}
		for _, m := range out.Messages {
			trace, event, err := read(ctx, m, links)
			if err != nil {
				log.Printf("message %s: %v", *m.MessageId, err) // it comes again, then goes to the dead-letter queue: fantail retry
				continue
			}
			if err := store(trace, event); err != nil {
				return err
			}
			if _, err := q.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return err
			}
		}
	}
}

// read returns the event of a message and the trace id of its delivery.
func read(ctx context.Context, m types.Message, links string) (trace string, event []byte, err error) {
	id := m.MessageAttributes["trace-id"].StringValue
	if id == nil {
		return "", nil, errors.New("has no trace id: somebody else sent it")
	}
	event = []byte(*m.Body) // a healthcheck is the event itself
	var pointer struct{ Type, URL string }
	if err := json.Unmarshal(event, &pointer); err != nil {
		return "", nil, err
	}
	if pointer.Type == "s3_payload" {
		if !strings.HasPrefix(pointer.URL, links) {
			return "", nil, errors.New("points to a place that is not ours")
		}
		event, err = follow(ctx, pointer.URL)
	}
	return *id, event, err
}

// follow reads the whole event: a short read is an error, an expired link is 403.
func follow(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the link answers %s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// ---

// TestTheConsumerOfTheREADMEMissesNothing though some messages come twice, and
// takes nothing that is forged, stale or no message of ours.
func TestTheConsumerOfTheREADMEMissesNothing(t *testing.T) {
	r := newReal(t, false)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a link that is not ours was followed")
	}))
	defer elsewhere.Close()
	links := r.buckets.Endpoint + "/" + r.bucket + "/"
	bad := r.forged(t, links, elsewhere.URL)
	d := r.Open(t, deps(t)).(*sender)
	defer d.Close()
	want := map[string]string{}
	var ds []destination.Delivery
	for n := range 25 {
		x := sleep(t, n)
		if n%5 == 0 {
			x = destinationtest.Delivery(t, n, fmt.Appendf(nil, `{"type":"healthcheck","n":%d}`, n))
		}
		want[x.ID] = string(x.Event.Body)
		ds = append(ds, x)
	}
	for _, again := range [][]destination.Delivery{ds, ds[5:9]} {
		for _, res := range d.SendBatch(t.Context(), again) {
			if res.Err != nil {
				t.Fatal(res.Err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got, messages := map[string]string{}, 0
	err := consume(ctx, r.client, *r.url, links, func(trace string, event []byte) error {
		got[trace] = string(event)
		if messages++; messages == 29 {
			cancel()
		}
		return nil
	})
	if ctx.Err() == nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("stored %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	// The last one's removal was cancelled.
	out, err := r.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: r.url,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}})
	if err != nil {
		t.Fatal(err)
	}
	if n := out.Attributes["ApproximateNumberOfMessagesNotVisible"]; n != strconv.Itoa(bad+1) {
		t.Errorf("%s messages are left for the dead-letter queue, want %d", n, bad)
	}
}

// forged puts messages into the queue that no consumer may take, and returns
// how many.
func (r *real) forged(t *testing.T, links, elsewhere string) int {
	t.Helper()
	c := r.settings()
	c.LinkTTL = time.Second
	deps := deps(t)
	deps.Catalogue = event.DefaultCatalogue()
	d := openWith(t, c, deps).(*sender)
	defer d.Close()
	stale := sleep(t, 1000)
	if _, err := d.Send(t.Context(), stale); err != nil {
		t.Fatal(err)
	}
	out, err := r.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: r.url, MessageAttributeNames: []string{"All"}})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%d messages: %v", len(out.Messages), err)
	}
	m := out.Messages[0]
	if _, err := r.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: r.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(2 * time.Minute); err == nil && time.Now().Before(until); { // its link ends
		_, _, err = read(t.Context(), m, links)
	}
	if err == nil || !strings.Contains(err.Error(), "403") {
		t.Fatalf("an expired link: %v", err)
	}
	pointer := func(url string) string {
		b, _ := json.Marshal(map[string]any{"status": "success", "type": "s3_payload", "url": url, "expires_in": 600})
		return string(b)
	}
	trace := map[string]types.MessageAttributeValue{"trace-id": m.MessageAttributes["trace-id"]}
	all := []sqs.SendMessageInput{
		{MessageBody: m.Body, MessageAttributes: trace},
		{MessageBody: m.Body}, // a message without a trace id
		{MessageBody: ptr("no JSON"), MessageAttributes: trace},
		{MessageBody: ptr(pointer(elsewhere + "/x")), MessageAttributes: trace},
		{MessageBody: ptr(pointer(links + "2026-07-01/acme/forged.json?X-Amz-Signature=0")), MessageAttributes: trace},
	}
	for i := range all {
		all[i].QueueUrl = r.url
		if _, err := r.client.SendMessage(t.Context(), &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return len(all)
}

func ptr(s string) *string { return &s }

func TestTheREADMEShowsTheConsumer(t *testing.T) {
	source, err := os.ReadFile("consumer_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Split(string(source), "// ---\n")[1]
	if !strings.Contains(string(readme), "```go\n"+strings.TrimSpace(shown)+"\n```") {
		t.Error("README.md shows another consumer than the one that is tested")
	}
}
