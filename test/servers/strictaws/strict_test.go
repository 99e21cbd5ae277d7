package strictaws

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// TestTheUnknownFailsTheTest sends well-signed requests that the server does not know.
func TestTheUnknownFailsTheTest(t *testing.T) {
	for _, tt := range []struct{ name, service, method, path, body, header, value string }{
		{"a header of a put", "s3", "PUT", "/bucket/key", "", "X-Amz-Tagging", "a=b"},
		{"a header of a get", "s3", "GET", "/bucket/key", "", "X-Amz-Request-Payer", "requester"},
		{"a plain header", "s3", "GET", "/bucket/key", "", "X-Forwarded-For", "10.0.0.1"},
		{"a header of a head", "s3", "HEAD", "/bucket", "", "X-Amz-Meta-A", "b"},
		{"a range", "s3", "GET", "/bucket/key", "", "Range", "bytes=0-1"},
		{"an operation of S3", "s3", "PUT", "/bucket", "", "", ""},
		{"a listing", "s3", "GET", "/bucket", "", "", ""},
		{"a parameter of S3", "s3", "PUT", "/bucket/key?uploadId=1", "", "", ""},
		{"another operation's name", "s3", "GET", "/bucket/key?x-id=PutObject", "", "", ""},
		{"an operation of SQS", "sqs", "POST", "/", "{}", "X-Amz-Target", "AmazonSQS.PurgeQueue"},
		{"an operation of another service", "sqs", "POST", "/", "{}", "X-Amz-Target", "DynamoDB.SendMessage"},
		{"a member of a message", "sqs", "POST", "/", `{"QueueUrl":"x","MessageBody":"b","Color":"red"}`, "X-Amz-Target", "AmazonSQS.SendMessage"},
		{"a body that is no JSON", "sqs", "POST", "/", `QueueUrl=x`, "X-Amz-Target", "AmazonSQS.SendMessage"},
		{"a path of SQS", "sqs", "POST", "/queue", `{}`, "X-Amz-Target", "AmazonSQS.SendMessage"},
		{"an operation of STS", "sts", "POST", "/", "Action=GetFederationToken&Version=2011-06-15", "", ""},
		{"a parameter of STS", "sts", "POST", "/", "Action=AssumeRole&Version=2011-06-15&Policy=x", "", ""},
		{"a version of STS", "sts", "POST", "/", "Action=AssumeRole&Version=2012-01-01", "", ""},
		{"a service", "dynamodb", "POST", "/", "{}", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &watcher{TB: t}
			s := New(w)
			s.AddBucket(Bucket{Name: "bucket"})
			s.PutObject("bucket", Object{Key: "key"})
			r, err := http.NewRequest(tt.method, s.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.service == "sqs" {
				r.Header.Set("Content-Type", "application/x-amz-json-1.0")
			}
			if tt.header != "" {
				r.Header.Set(tt.header, tt.value)
			}
			sum := hexSum([]byte(tt.body))
			r.Header.Set("X-Amz-Content-Sha256", sum)
			if err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey}, r, sum, tt.service, s.Region, time.Now()); err != nil {
				t.Fatal(err)
			}
			if status, body := do(t, r); status != http.StatusNotImplemented {
				t.Errorf("answered %d %s", status, body)
			}
			if said := w.complaints(); len(said) != 1 || !strings.HasPrefix(said[0], "strictaws: ") {
				t.Errorf("the test was told %q", said)
			}
		})
	}
}
