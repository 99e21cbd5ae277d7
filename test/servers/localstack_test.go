package servers_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/seed-51f8da91/fantail/test/servers"
)

func TestLocalStackHasS3SQSAndSTS(t *testing.T) {
	s, ctx := servers.StartLocalStack(t), t.Context()
	role, err := sts.New(sts.Options{Region: s.Region, BaseEndpoint: &s.Endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")}).
		AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/fantail"), RoleSessionName: aws.String("test"), ExternalId: aws.String("x")})
	if err != nil {
		t.Fatal(err)
	}
	assumed := credentials.NewStaticCredentialsProvider(*role.Credentials.AccessKeyId, *role.Credentials.SecretAccessKey, *role.Credentials.SessionToken)
	c := s3.New(s3.Options{Region: s.Region, BaseEndpoint: &s.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1, Credentials: assumed})
	bucket := newBucket(t, c)
	if err := put(ctx, c, bucket, "a.json"); err != nil {
		t.Fatal(err)
	}
	// It checks links for its own keys only.
	link, err := s3.NewPresignClient(s3Client(s.Endpoint, s.Region, s.AccessKey, s.SecretKey)).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("a.json")})
	if err != nil {
		t.Fatal(err)
	}
	if got := status(t, link.URL); got != http.StatusOK {
		t.Errorf("a good link answers %d", got)
	}
	if got := status(t, strings.Replace(link.URL, "X-Amz-Signature=", "X-Amz-Signature=0", 1)); got != http.StatusForbidden {
		t.Errorf("a tampered link answers %d", got)
	}
	roundTrip(t, sqsClient(s.Endpoint, s.Region, s.AccessKey, s.SecretKey), s.Endpoint)
}

// Every address of this machine but 127.0.0.1 must refuse: 127.0.0.2 stands for the others.
func TestServersListenOnLoopbackOnly(t *testing.T) {
	for name, endpoint := range map[string]string{
		"LocalStack": servers.StartLocalStack(t).Endpoint, "fauxqs": servers.StartSQS(t).Endpoint, "versitygw": servers.StartS3(t).Endpoint,
		"fake-gcs-server": servers.StartGCS(t).Endpoint, "postgres-meta": servers.StartPostgresMeta(t).URL,
	} {
		_, port, ok := strings.Cut(endpoint, "http://127.0.0.1:")
		if !ok {
			t.Errorf("%s is at %s", name, endpoint)
			continue
		}
		if c, err := net.Dial("tcp", "127.0.0.2:"+port); err == nil {
			c.Close()
			t.Errorf("%s listens on other addresses too", name)
		}
	}
}
