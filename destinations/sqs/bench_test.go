package sqs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	api "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const inFlight = 16

// BenchmarkDelivery delivers events of 2 KiB to fauxqs, their payloads to
// versitygw, 16 at a time: each alone, in batches of ten as the engine does when
// as many are due, and beside them the SDK alone doing the same puts and sends.
// The servers are processes of their own on the same machine; cpu-us/op is this
// process's.
func BenchmarkDelivery(b *testing.B) {
	r := newReal(b, false)
	lent := deps(b)
	d := r.Open(b, lent).(*sender)
	b.Cleanup(func() { d.Close() })
	body := fmt.Appendf(nil, `{"type":"sleep","version":"2022-03-16","user":{"user_id":"u1","reference_id":"r1"},"data":[{"s":"%s"}]}`, strings.Repeat("x", 1900))
	like := destinationtest.Delivery(b, 1, body)
	bare := newBare(r)

	ways := []struct {
		name string
		size int
		send func(context.Context, []destination.Delivery) error
	}{
		{"bare SDK", 1, func(ctx context.Context, ds []destination.Delivery) error { return bare.send(ctx, ds[0]) }},
		{"one by one", 1, func(ctx context.Context, ds []destination.Delivery) error {
			_, err := d.Send(ctx, ds[0])
			return err
		}},
		{"in tens", maxBatch, func(ctx context.Context, ds []destination.Delivery) error {
			for _, r := range d.SendBatch(ctx, ds) {
				if r.Err != nil {
					return r.Err
				}
			}
			return nil
		}},
	}
	for round := range 4 { // in turns; in the first the servers and we warm up
		for _, w := range ways {
			b.Run(fmt.Sprintf("%d/%s", round, w.name), func(b *testing.B) { atOnce(b, w.size, w.send, like) })
		}
	}
}

// atOnce sends b.N deliveries, each of another event, in batches of size.
func atOnce(b *testing.B, size int, send func(context.Context, []destination.Delivery) error, like destination.Delivery) {
	var next atomic.Int64
	var all sync.WaitGroup
	before := cpu(b)
	b.ResetTimer()
	for range inFlight {
		all.Go(func() {
			for {
				last := int(next.Add(int64(size)))
				var ds []destination.Delivery
				for range min(size, b.N-(last-size)) {
					e := *like.Event
					e.ID = event.NewID(time.Now(), 0, unique.Add(1))
					ds = append(ds, destination.Delivery{ID: e.ID.String() + "_1", Attempt: 1, Event: &e})
				}
				if len(ds) == 0 {
					return
				}
				if err := send(b.Context(), ds); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
}

var unique atomic.Uint64

// cpu is what this process has used so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bareClient is the least that anybody does with the SDK.
type bareClient struct {
	puts    *s3.Client
	sends   *api.Client
	to      *real
	message string
}

func newBare(r *real) *bareClient {
	client := &http.Client{Transport: plainBodies{&http.Transport{MaxIdleConnsPerHost: 4 * inFlight}}}
	return &bareClient{
		puts: s3.New(s3.Options{Region: r.buckets.Region, BaseEndpoint: &r.buckets.Endpoint, UsePathStyle: true, HTTPClient: client,
			Credentials: sdk.NewCredentialsCache(credentials.NewStaticCredentialsProvider(r.buckets.AccessKey, r.buckets.SecretKey, ""))}),
		sends: api.New(api.Options{Region: r.queues.Region, BaseEndpoint: &r.queues.Endpoint, HTTPClient: client,
			Credentials: sdk.NewCredentialsCache(credentials.NewStaticCredentialsProvider(r.queues.AccessKey, r.queues.SecretKey, ""))}),
		to: r, message: `{"status":"success","type":"s3_payload","url":"` + strings.Repeat("u", 450) + `","expires_in":600}`,
	}
}

// plainBodies keeps the connections that the SDK loses when an answer is fast:
// its own bodies fail to be written once they are closed.
type plainBodies struct{ via http.RoundTripper }

func (p plainBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		req = req.WithContext(req.Context())
		req.Body = struct{ io.ReadCloser }{req.Body}
	}
	return p.via.RoundTrip(req)
}

func (c *bareClient) send(ctx context.Context, d destination.Delivery) error {
	_, err := c.puts.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.to.bucket, Key: sdk.String("bare/" + d.Event.ID.String()), Body: bytes.NewReader(d.Event.Body), IfNoneMatch: sdk.String("*")})
	if err != nil {
		return err
	}
	_, err = c.sends.SendMessage(ctx, &api.SendMessageInput{QueueUrl: c.to.url, MessageBody: &c.message, MessageAttributes: attributes(d)})
	return err
}
