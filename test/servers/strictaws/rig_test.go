package strictaws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// watcher stands in for a test and keeps what the server complains of.
type watcher struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (w *watcher) Errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *watcher) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said
}

// client is the SDK, pointed at a server, as its user unless told otherwise.
type client struct {
	t   *testing.T
	s   *Server
	cfg aws.Config
}

func newClient(t *testing.T, s *Server) client {
	return client{t, s, aws.Config{
		Region: s.Region, BaseEndpoint: &s.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""),
	}}
}

func (c client) as(key, secret, token string) client {
	c.cfg.Credentials = credentials.NewStaticCredentialsProvider(key, secret, token)
	return c
}

func (c client) in(region string) client {
	c.cfg.Region = region
	return c
}

func (c client) s3() *s3.Client {
	return s3.NewFromConfig(c.cfg, func(o *s3.Options) { o.UsePathStyle = true })
}
func (c client) sqs() *sqs.Client { return sqs.NewFromConfig(c.cfg) }
func (c client) sts() *sts.Client { return sts.NewFromConfig(c.cfg) }

func (c client) put(key, body string, change ...func(*s3.PutObjectInput)) error {
	in := &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key, Body: bytes.NewReader([]byte(body)), ContentType: aws.String("application/json")}
	for _, f := range change {
		f(in)
	}
	_, err := c.s3().PutObject(context.Background(), in)
	return err
}

// want asserts that err is "" (none) or "{status} {code}".
func want(t *testing.T, what string, err error, answer string) {
	t.Helper()
	if got := answerOf(err); got != answer {
		t.Errorf("%s: %q, want %q (%v)", what, got, answer, err)
	}
}

func answerOf(err error) string {
	if err == nil {
		return ""
	}
	status, code := 0, "no code"
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = e.HTTPStatusCode()
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		code = e.ErrorCode()
	}
	return fmt.Sprintf("%d %s", status, code)
}
