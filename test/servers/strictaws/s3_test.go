package strictaws

import (
	"bytes"
	"context"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const kmsKey = "arn:aws:kms:eu-central-1:111122223333:key/1"

func TestObjectsComeBack(t *testing.T) {
	s := New(t)
	s.AddBucket(Bucket{Name: "bucket"})
	c := newClient(t, s)
	meta := map[string]string{"identity": "a", "sha256": "b"}
	if err := c.put("a/b.json", `{"a":1}`, func(in *s3.PutObjectInput) {
		in.Metadata, in.ContentEncoding, in.StorageClass, in.ACL = meta, aws.String("identity"), "STANDARD_IA", "bucket-owner-full-control"
	}); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	got, err := c.s3().GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b.json")})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, _ := io.ReadAll(got.Body)
	if string(body) != `{"a":1}` || !maps.Equal(got.Metadata, meta) || *got.ContentType != "application/json" || *got.ContentEncoding != "identity" || got.StorageClass != "STANDARD_IA" {
		t.Errorf("%s %+v", body, got)
	}
	head, err := c.s3().HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b.json")})
	if err != nil || *head.ETag != *got.ETag || *head.ContentLength != int64(len(body)) || !maps.Equal(head.Metadata, meta) {
		t.Errorf("%+v %v", head, err)
	}
	if _, err := c.s3().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b.json")}); err != nil || len(s.Objects("bucket")) != 0 {
		t.Error(err, s.Objects("bucket"))
	}
}

func TestPutsAreJudged(t *testing.T) {
	s := New(t)
	s.AddBucket(Bucket{Name: "bucket", KMSKeys: []string{kmsKey}})
	s.AddBucket(Bucket{Name: "sealed", RequireKMS: true})
	s.AddBucket(Bucket{Name: "theirs", Owner: "999900001111"})
	s.PutObject("bucket", Object{Key: "there", Body: []byte("old")})
	there, _ := s.Object("bucket", "there")
	kms := func(key string) func(*s3.PutObjectInput) {
		return func(in *s3.PutObjectInput) { in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", &key }
	}
	for name, tt := range map[string]struct {
		change func(*s3.PutObjectInput)
		key    string
		answer string
	}{
		"new if none":      {func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }, "new", ""},
		"there if none":    {func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }, "there", "412 PreconditionFailed"},
		"another if match": {func(in *s3.PutObjectInput) { in.IfMatch = aws.String(`"0"`) }, "there", "412 PreconditionFailed"},
		"missing if match": {func(in *s3.PutObjectInput) { in.IfMatch = aws.String(`"0"`) }, "missing", "404 NoSuchKey"},
		"there if match":   {func(in *s3.PutObjectInput) { in.IfMatch = &there.ETag }, "there", ""},
		"none of an etag":  {func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String(`"0"`) }, "n", "501 NotImplemented"},
		"missing bucket":   {func(in *s3.PutObjectInput) { in.Bucket = aws.String("nowhere") }, "n", "404 NoSuchBucket"},
		"the owner":        {func(in *s3.PutObjectInput) { in.ExpectedBucketOwner = aws.String(Account) }, "n", ""},
		"another owner": {func(in *s3.PutObjectInput) {
			in.Bucket, in.ExpectedBucketOwner = aws.String("theirs"), aws.String(Account)
		}, "n", "403 AccessDenied"},
		"a wrong checksum":         {func(in *s3.PutObjectInput) { in.ChecksumSHA256 = aws.String("AAAA") }, "n", "400 BadDigest"},
		"a wrong MD5":              {func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String("AAAAAAAAAAAAAAAAAAAAAA==") }, "n", "400 BadDigest"},
		"SSE-S3":                   {func(in *s3.PutObjectInput) { in.ServerSideEncryption = "AES256" }, "n", ""},
		"SSE of nothing":           {func(in *s3.PutObjectInput) { in.ServerSideEncryption = "rot13" }, "n", "400 InvalidEncryptionAlgorithmError"},
		"SSE-KMS":                  {kms(kmsKey), "n", ""},
		"SSE-KMS with another key": {kms("x"), "n", "400 KMS.NotFoundException"},
		"a key without SSE-KMS":    {func(in *s3.PutObjectInput) { in.SSEKMSKeyId = aws.String(kmsKey) }, "n", "400 InvalidArgument"},
		"no SSE where it is asked": {func(in *s3.PutObjectInput) { in.Bucket = aws.String("sealed") }, "n", "403 AccessDenied"},
		"SSE where it is asked":    {func(in *s3.PutObjectInput) { in.Bucket, in.ServerSideEncryption = aws.String("sealed"), "aws:kms" }, "n", ""},
		"a class of nothing":       {func(in *s3.PutObjectInput) { in.StorageClass = "SHELF" }, "n", "400 InvalidStorageClass"},
		"an ACL of nothing":        {func(in *s3.PutObjectInput) { in.ACL = types.ObjectCannedACL("mine") }, "n", "400 InvalidArgument"},
		"a key too long":           {func(*s3.PutObjectInput) {}, strings.Repeat("k", 1025), "400 KeyTooLongError"},
		"metadata too large":       {func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": strings.Repeat("v", 2048)} }, "n", "400 MetadataTooLarge"},
	} {
		want(t, name, newClient(t, s).put(tt.key, "new", tt.change), tt.answer)
	}
	if o, _ := s.Object("bucket", "there"); string(o.Body) != "new" {
		t.Errorf("the object holds %q", o.Body)
	}
}

func TestPermissionsAreTakenOneByOne(t *testing.T) {
	ctx, bucket := context.Background(), aws.String("bucket")
	head := func(key string) func(client) error {
		return func(c client) error {
			_, err := c.s3().HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: &key})
			return err
		}
	}
	fetch := func(key string) func(client) error {
		return func(c client) error {
			_, err := c.s3().GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})
			return err
		}
	}
	headBucket := func(c client) error {
		_, err := c.s3().HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket})
		return err
	}
	put := func(change func(*s3.PutObjectInput)) func(client) error {
		return func(c client) error { return c.put("k", "v", change) }
	}
	plain := func(*s3.PutObjectInput) {}
	for _, tt := range []struct {
		denied, name string
		do           func(client) error
		answer       string
	}{
		{"", "head", head("there"), ""},
		{"", "head of nothing", head("none"), "404 NotFound"},
		{"", "get of nothing", fetch("none"), "404 NoSuchKey"},
		{"", "head of the bucket", headBucket, ""},
		{"s3:ListBucket", "head", head("there"), ""},
		{"s3:ListBucket", "head of nothing", head("none"), "403 Forbidden"},
		{"s3:ListBucket", "get of nothing", fetch("none"), "403 AccessDenied"},
		{"s3:ListBucket", "head of the bucket", headBucket, "403 Forbidden"},
		{"s3:GetObject", "head", head("there"), "403 Forbidden"},
		{"s3:GetObject", "put", put(plain), ""},
		{"s3:GetObject", "put if none", put(func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }), ""},
		{"s3:GetObject", "put if match", put(func(in *s3.PutObjectInput) { in.IfMatch = aws.String("x") }), "403 AccessDenied"},
		{"s3:PutObject", "put", put(plain), "403 AccessDenied"},
		{"s3:PutObject", "get", fetch("there"), ""},
		{"s3:PutObjectAcl", "put", put(plain), ""},
		{"s3:PutObjectAcl", "put with an ACL", put(func(in *s3.PutObjectInput) { in.ACL = "private" }), "403 AccessDenied"},
		{"kms:GenerateDataKey", "put", put(plain), ""},
		{"kms:GenerateDataKey", "put with KMS", put(func(in *s3.PutObjectInput) { in.ServerSideEncryption = "aws:kms" }), "403 AccessDenied"},
	} {
		s := New(t)
		s.AddBucket(Bucket{Name: "bucket"})
		s.PutObject("bucket", Object{Key: "there", Body: []byte("v")})
		s.Deny(tt.denied)
		want(t, tt.name+" without "+tt.denied, tt.do(newClient(t, s)), tt.answer)
		s.Mend()
		if tt.denied != "" && strings.HasPrefix(tt.answer, "403") {
			if got := answerOf(tt.do(newClient(t, s))); strings.HasPrefix(got, "403") {
				t.Errorf("%s after mending: %s", tt.name, got)
			}
		}
	}
}

func TestRegions(t *testing.T) {
	s := New(t)
	s.AddBucket(Bucket{Name: "bucket", Region: "us-west-2"})
	want(t, "another region", newClient(t, s).put("k", "v"), "400 AuthorizationHeaderMalformed")
	want(t, "its region", newClient(t, s).in("us-west-2").put("k", "v"), "")
	s.AddBucket(Bucket{Name: "bucket", Region: "us-west-2", Redirects: true})
	want(t, "another region's endpoint", newClient(t, s).put("k", "v"), "301 PermanentRedirect")
}

func TestFaultsAreAnsweredToOrder(t *testing.T) {
	s := New(t)
	s.AddBucket(Bucket{Name: "bucket"})
	c := newClient(t, s)
	s.Fail("PutObject", Fault{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate.", Times: 1})
	want(t, "once", c.put("k", "v"), "503 SlowDown")
	want(t, "then no more", c.put("k", "v"), "")
	s.Fail("PutObject", Fault{Status: 500, Code: "InternalError", Done: true})
	want(t, "done but unanswered", c.put("done", "v"), "500 InternalError")
	if _, there := s.Object("bucket", "done"); !there {
		t.Error("the work of a lost answer was not done")
	}
	s.Fail("PutObject", Fault{Status: 500, Code: "InternalError", Message: "echo:", Echo: true})
	if err := c.put("k", "v"); err == nil || !strings.Contains(err.Error(), SecretKey) {
		t.Errorf("no echo in %v", err)
	}
	s.Fail("PutObject", Fault{Status: 502, Raw: "<html>bad gateway</html>"})
	if err := c.put("k", "v"); err == nil || !strings.Contains(err.Error(), "502") {
		t.Error(err)
	}
	s.Fail("PutObject", Fault{Breaks: true})
	if err := c.put("k", "v"); err == nil || strings.Contains(answerOf(err), "no code") == false {
		t.Error(err)
	}
	s.Fail("PutObject", Fault{Hangs: true})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := c.s3().PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"), Body: bytes.NewReader(nil)})
		done <- err
	}()
	for s.Requests("PutObject") < 7 { // it has arrived, and stays unanswered
		select {
		case err := <-done:
			t.Fatalf("a hanging request was answered: %v", err)
		default:
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("it succeeded")
	}
	s.Mend()
	want(t, "mended", c.put("k", "v"), "")
}
