package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// inS3 returns all objects of a bucket.
func inS3(t *testing.T, c *s3.Client, bucket string) map[string]stored {
	t.Helper()
	all := map[string]stored{}
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: o.Key})
			if err != nil {
				t.Fatalf("get %s: %v", *o.Key, err)
			}
			body, err := io.ReadAll(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			all[*o.Key] = stored{aws.ToString(got.ContentType), lower(got.Metadata), body}
		}
	}
	return all
}

// inGCS returns all objects of a bucket.
func inGCS(t *testing.T, g servers.GCS, bucket string) map[string]stored {
	t.Helper()
	var list struct {
		Items []struct {
			Name, ContentType string
			Metadata          map[string]string
		}
		NextPageToken string
	}
	at := g.Endpoint + "/storage/v1/b/" + bucket + "/o"
	if err := json.Unmarshal([]byte(fetched(t, at)), &list); err != nil || list.NextPageToken != "" {
		t.Fatalf("list: %v, another page %q", err, list.NextPageToken)
	}
	all := map[string]stored{}
	for _, o := range list.Items {
		all[o.Name] = stored{o.ContentType, lower(o.Metadata), []byte(fetched(t, at+"/"+url.PathEscape(o.Name)+"?alt=media"))}
	}
	return all
}

// fetched gets what must be at an address.
func fetched(t *testing.T, at string) string {
	t.Helper()
	status, body := fetch(t, at)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", at, status, body)
	}
	return body
}

func lower(m map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range m {
		out[strings.ToLower(name)] = value
	}
	return out
}

// queue is a queue of the test's own.
type queue struct {
	client *sqs.Client
	name   string
	url    *string
}

func newQueue(t *testing.T, endpoint, region, key, secret, ending string) queue {
	t.Helper()
	q := queue{name: servers.Name() + ending, client: sqs.New(sqs.Options{Region: region, BaseEndpoint: &endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, "")})}
	in := &sqs.CreateQueueInput{QueueName: &q.name, Attributes: map[string]string{"VisibilityTimeout": "300"}}
	if ending == ".fifo" {
		in.Attributes["FifoQueue"] = "true"
	}
	made, err := q.client.CreateQueue(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	q.url = made.QueueUrl
	return q
}

// receive takes everything out of the queue.
func (q queue) receive(t *testing.T) (all []types.Message) {
	t.Helper()
	for {
		out, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: q.url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return all
		}
		for _, m := range out.Messages {
			if _, err := q.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, out.Messages...)
	}
}

// ended waits until a link no longer works.
func ended(t *testing.T, link string) {
	t.Helper()
	until(t, "the link expires", func() bool {
		status, _ := fetch(t, link)
		if status != http.StatusOK && status != http.StatusForbidden {
			t.Fatalf("a link answers %d", status)
		}
		return status == http.StatusForbidden
	})
}
