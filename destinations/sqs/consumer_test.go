package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// README.md shows what stands between the two lines.
// ---
// consume hands every event to store, which must not mind a repeat of a trace
// id, and takes a message out of the queue once its event is stored.
func consume(ctx context.Context, q *sqs.Client, queue string, store func(trace string, event []byte) error) error {
	for {
		out, err := q.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 20, MessageAttributeNames: []string{"trace-id"},
		})
		if err != nil {
			return err
		}
		for _, m := range out.Messages {
			event := []byte(*m.Body) // a healthcheck is the event itself
			var pointer struct{ Type, URL string }
			if err := json.Unmarshal(event, &pointer); err != nil {
				return err
			}
			trace := *m.MessageAttributes["trace-id"].StringValue
			if pointer.Type == "s3_payload" {
				if event, err = follow(ctx, pointer.URL); err != nil {
					log.Printf("%s: %v", trace, err) // it comes again, then goes to the dead-letter queue: fantail retry
					continue
				}
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

// follow reads the whole event: a short read is an error, an expired link is 403.
func follow(ctx context.Context, url string) ([]byte, error) {
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

// TestTheConsumerOfTheREADMEMissesNothing though some messages come twice.
func TestTheConsumerOfTheREADMEMissesNothing(t *testing.T) {
	r := newReal(t, false)
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
	err := consume(ctx, r.client, *r.url, func(trace string, event []byte) error {
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
}

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
