package sqs

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	api "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// real is a queue and a bucket of servers that others wrote.
type real struct {
	queues  servers.SQS
	buckets servers.S3
	client  *api.Client
	name    string
	url     *string
	bucket  string
	got     []string // bodies received so far
	gone    bool     // the queue was removed
}

func newReal(tb testing.TB, fifo bool) *real {
	tb.Helper()
	r := &real{queues: servers.StartSQS(tb), buckets: servers.StartS3(tb), name: servers.Name(), bucket: servers.Name()}
	ctx := context.Background()
	r.client = api.New(api.Options{Region: r.queues.Region, BaseEndpoint: &r.queues.Endpoint, RetryMaxAttempts: 1, HTTPClient: brief(),
		Credentials: credentials.NewStaticCredentialsProvider(r.queues.AccessKey, r.queues.SecretKey, "")})
	in := &api.CreateQueueInput{QueueName: &r.name}
	if fifo {
		r.name += ".fifo"
		in.Attributes = map[string]string{"FifoQueue": "true"}
	}
	q, err := r.client.CreateQueue(ctx, in)
	if err != nil {
		tb.Fatal(err)
	}
	r.url = q.QueueUrl
	store := s3.New(s3.Options{Region: r.buckets.Region, BaseEndpoint: &r.buckets.Endpoint, UsePathStyle: true, HTTPClient: brief(),
		Credentials: credentials.NewStaticCredentialsProvider(r.buckets.AccessKey, r.buckets.SecretKey, "")})
	if _, err := store.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &r.bucket}); err != nil {
		tb.Fatal(err)
	}
	return r
}

func (r *real) settings() Config {
	c := defaults()
	c.Queue, c.Region, c.Endpoint, c.AllowHTTP = r.name, r.queues.Region, r.queues.Endpoint, true
	c.AccessKeyID, c.SecretAccessKey = secret.New(r.queues.AccessKey), secret.New(r.queues.SecretKey)
	c.Payloads.S3 = &aws.BucketSettings{Bucket: r.bucket, Settings: aws.Settings{
		Region: r.buckets.Region, Endpoint: r.buckets.Endpoint, AllowHTTP: true,
		AccessKeyID: secret.New(r.buckets.AccessKey), SecretAccessKey: secret.New(r.buckets.SecretKey),
	}}
	return c
}

func (r *real) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	deps.Catalogue = event.DefaultCatalogue()
	return openWith(tb, r.settings(), deps)
}

// receive takes everything out of the queue.
func (r *real) receive(tb testing.TB) []string {
	tb.Helper()
	ctx := context.Background()
	for !r.gone {
		out, err := r.client.ReceiveMessage(ctx, &api.ReceiveMessageInput{QueueUrl: r.url, MaxNumberOfMessages: 10})
		if err != nil {
			tb.Fatal(err)
		}
		if len(out.Messages) == 0 {
			break
		}
		for _, m := range out.Messages {
			r.got = append(r.got, *m.Body)
			if _, err := r.client.DeleteMessage(ctx, &api.DeleteMessageInput{QueueUrl: r.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return r.got
}

func (r *real) Stored(tb testing.TB) (all [][]byte) {
	tb.Helper()
	for _, body := range r.receive(tb) {
		all = append(all, opened(tb, body))
	}
	return all
}

// Break removes the queue.
func (r *real) Break(tb testing.TB, _ destinationtest.Failure) {
	r.receive(tb)
	r.gone = true
	if _, err := r.client.DeleteQueue(context.Background(), &api.DeleteQueueInput{QueueUrl: r.url}); err != nil {
		tb.Fatal(err)
	}
}

func (r *real) Mend(tb testing.TB) {
	r.gone = false
	in := &api.CreateQueueInput{QueueName: &r.name}
	if strings.HasSuffix(r.name, ".fifo") {
		in.Attributes = map[string]string{"FifoQueue": "true"}
	}
	if _, err := r.client.CreateQueue(context.Background(), in); err != nil {
		tb.Fatal(err)
	}
}

// TestConformanceAtServers: fauxqs and versitygw.
func TestConformanceAtServers(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		t.Run(fmt.Sprint("FIFO ", fifo), func(t *testing.T) {
			destinationtest.Run(t, destinationtest.Kind{
				Start:    func(tb testing.TB) destinationtest.FarSide { return newReal(tb, fifo) },
				Secrets:  []string{"secret-of-admin"},
				Failures: []destinationtest.Failure{{Name: "a removed queue", Class: destination.Misconfigured}},
				Poison: func(tb testing.TB) (destination.Delivery, destination.Class) {
					return healthcheck(tb, 1001, 1<<20), destination.Rejected
				},
				Duplicates:  !fifo,
				Connections: 2, // the queue's and the bucket's
				Batches:     true, Checks: true, Explains: true,
			})
		})
	}
}

// TestTheCheckLeavesNothingAtAServer: an empty batch is refused, not stored.
func TestTheCheckLeavesNothingAtAServer(t *testing.T) {
	r := newReal(t, false)
	d := r.Open(t, deps(t)).(*sender)
	defer d.Close()
	if err := d.Check(context.Background()); err != nil {
		t.Error(err)
	}
	if got := r.receive(t); len(got) > 0 {
		t.Errorf("the check left %q", got)
	}
}
