package s3

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/cloud/probe"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// gateway is a real S3 server. Destinations use its user, who may do what the
// bucket's policy says; the admin looks at what they did.
type gateway struct {
	servers.S3
	admin *sdk.Client
}

func startGateway(tb testing.TB) gateway {
	s := servers.StartS3(tb)
	return gateway{s, sdk.New(sdk.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})}
}

// far is a bucket of a gateway.
type far struct {
	gateway
	name   string
	config Config
}

// everything is what the README asks for.
var everything = []string{"s3:PutObject", "s3:GetObject", "s3:DeleteObject"}

func (g gateway) bucket(tb testing.TB, change ...func(*Config)) *far {
	tb.Helper()
	f := &far{g, servers.Name(), defaults()}
	if _, err := g.admin.CreateBucket(tb.Context(), &sdk.CreateBucketInput{Bucket: &f.name}); err != nil {
		tb.Fatal(err)
	}
	f.allow(tb, everything...)
	f.config.Bucket = f.name
	f.config.Account = aws.Settings{Region: g.Region, Endpoint: g.Endpoint, AllowHTTP: true, AccessKeyID: secret.New(g.UserAccessKey), SecretAccessKey: secret.New(g.UserSecretKey)}
	for _, c := range change {
		c(&f.config)
	}
	return f
}

// allow lets the user do that and nothing else.
func (f *far) allow(tb testing.TB, actions ...string) {
	tb.Helper()
	if len(actions) == 0 {
		if _, err := f.admin.DeleteBucketPolicy(tb.Context(), &sdk.DeleteBucketPolicyInput{Bucket: &f.name}); err != nil {
			tb.Fatal(err)
		}
		return
	}
	var statements string
	for _, a := range actions {
		resource := "*"
		if a == "s3:DeleteObject" {
			resource += probe.Name // and nothing else
		}
		statements += fmt.Sprintf(`{"Effect":"Allow","Principal":%q,"Action":%q,"Resource":"arn:aws:s3:::%s/%s"},`, f.UserAccessKey, a, f.name, resource)
	}
	statements += fmt.Sprintf(`{"Effect":"Allow","Principal":%q,"Action":"s3:ListBucket","Resource":"arn:aws:s3:::%s"}`, f.UserAccessKey, f.name)
	policy := `{"Version":"2012-10-17","Statement":[` + statements + `]}`
	if _, err := f.admin.PutBucketPolicy(tb.Context(), &sdk.PutBucketPolicyInput{Bucket: &f.name, Policy: &policy}); err != nil {
		tb.Fatal(err)
	}
}

func (f *far) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	return openWith(tb, f.config, deps)
}

func (f *far) Break(tb testing.TB, _ destinationtest.Failure) { f.allow(tb) }
func (f *far) Mend(tb testing.TB)                             { f.allow(tb, everything...) }

func (f *far) Stored(tb testing.TB) (all [][]byte) {
	for _, o := range f.all(tb) {
		all = append(all, o.body)
	}
	return all
}

// held is an object as a consumer reads it.
type held struct {
	body           []byte
	meta           map[string]string
	typ, encoding  string
	compressedSize int
}

// all returns what the bucket holds by key.
func (f *far) all(tb testing.TB) map[string]held {
	tb.Helper()
	// Not the test's context: the suite's cases may have ended theirs.
	ctx := context.WithoutCancel(tb.Context())
	found := map[string]held{}
	pages := sdk.NewListObjectsV2Paginator(f.admin, &sdk.ListObjectsV2Input{Bucket: &f.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			tb.Fatal(err)
		}
		for _, o := range page.Contents {
			found[*o.Key] = f.get(tb, ctx, *o.Key)
		}
	}
	return found
}

func (f *far) get(tb testing.TB, ctx context.Context, key string) held {
	tb.Helper()
	o, err := f.admin.GetObject(ctx, &sdk.GetObjectInput{Bucket: &f.name, Key: &key})
	if err != nil {
		tb.Fatalf("get %s: %v", key, err)
	}
	defer o.Body.Close()
	body, err := io.ReadAll(o.Body)
	if err != nil {
		tb.Fatal(err)
	}
	h := held{body, o.Metadata, sdkaws.ToString(o.ContentType), sdkaws.ToString(o.ContentEncoding), len(body)}
	if h.encoding == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			tb.Fatalf("%s: %v", key, err)
		}
		if h.body, err = io.ReadAll(z); err != nil {
			tb.Fatalf("%s: %v", key, err)
		}
	}
	return h
}

// plainDeps lends the loopback without a guard.
func plainDeps(tb testing.TB) destination.Deps {
	return destination.Deps{HTTP: exchangetest.Client(tb, nil, nil).HTTP(), Brand: "terra", UserAgent: "Fantail/test"}
}

// put stores an object as somebody else would.
func (f *far) put(tb testing.TB, key, body string) {
	tb.Helper()
	if _, err := f.admin.PutObject(tb.Context(), &sdk.PutObjectInput{Bucket: &f.name, Key: &key, Body: strings.NewReader(body)}); err != nil {
		tb.Fatal(err)
	}
}

func (f *far) remove(tb testing.TB, key string) {
	tb.Helper()
	if _, err := f.admin.DeleteObject(tb.Context(), &sdk.DeleteObjectInput{Bucket: &f.name, Key: &key}); err != nil {
		tb.Fatal(err)
	}
}

func sum(body string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(body))) }
