package servers_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/test/servers"
)

func s3Client(endpoint, region, access, secret string) *s3.Client {
	return s3.New(s3.Options{Region: region, BaseEndpoint: &endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, "")})
}

func TestS3KeepsObjectsAndChecksSignatures(t *testing.T) {
	s, ctx := servers.StartS3(t), t.Context()
	admin := s3Client(s.Endpoint, s.Region, s.AccessKey, s.SecretKey)
	bucket := newBucket(t, admin)
	if err := put(ctx, admin, bucket, "a/b.json"); err != nil {
		t.Fatal(err)
	}
	link, err := s3.NewPresignClient(admin).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("a/b.json")})
	if err != nil {
		t.Fatal(err)
	}
	if got := status(t, link.URL); got != http.StatusOK {
		t.Errorf("a good link answers %d", got)
	}
	if got := status(t, strings.Replace(link.URL, "X-Amz-Signature=", "X-Amz-Signature=0", 1)); got != http.StatusForbidden {
		t.Errorf("a tampered link answers %d", got)
	}
	if err := put(ctx, s3Client(s.Endpoint, s.Region, s.AccessKey, "wrong"), bucket, "c.json"); err == nil {
		t.Error("a wrong secret was accepted")
	}
}

func TestS3UserMayWhatThePolicySays(t *testing.T) {
	s, ctx := servers.StartS3(t), t.Context()
	admin := s3Client(s.Endpoint, s.Region, s.AccessKey, s.SecretKey)
	user := s3Client(s.Endpoint, s.Region, s.UserAccessKey, s.UserSecretKey)
	bucket := newBucket(t, admin)
	if err := put(ctx, user, bucket, "k"); err == nil {
		t.Fatal("the user may write without a policy")
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"` + s.UserAccessKey + `","Action":"s3:PutObject","Resource":"arn:aws:s3:::` + bucket + `/*"}]}`
	if _, err := admin.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	if err := put(ctx, user, bucket, "k"); err != nil {
		t.Errorf("the user may not write: %v", err)
	}
	if _, err := user.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("k")}); err == nil {
		t.Error("the user may read")
	}
}

func newBucket(t *testing.T, c *s3.Client) string {
	t.Helper()
	name := servers.Name()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return name
}

func put(ctx context.Context, c *s3.Client, bucket, key string) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("{}")})
	return err
}

func status(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
