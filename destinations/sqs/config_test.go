package sqs

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func valid() Config {
	c := defaults()
	c.Queue, c.Region = "events", "eu-west-1"
	c.AccessKeyID, c.SecretAccessKey = secret.New("AKIA"), secret.New("hunter2")
	return c
}

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Config)
		faults []string // beginnings, in order
	}{
		"a name":            {func(c *Config) {}, nil},
		"a FIFO name":       {func(c *Config) { c.Queue = strings.Repeat("q", 75) + ".fifo" }, nil},
		"a long name":       {func(c *Config) { c.Queue = strings.Repeat("q", 80) }, nil},
		"too long a name":   {func(c *Config) { c.Queue = strings.Repeat("q", 81) }, []string{"queue: is not the name"}},
		"too long a FIFO":   {func(c *Config) { c.Queue = strings.Repeat("q", 76) + ".fifo" }, []string{"queue: is not the name"}},
		"another account's": {func(c *Config) { c.Account = "444455556666" }, nil},
		"no account":        {func(c *Config) { c.Account = "acme" }, []string{"account: must be the 12 digits"}},
		"none":              {func(c *Config) { c.Queue = "" }, []string{"queue: is required"}},
		"an ARN":            {func(c *Config) { c.Queue = "arn:aws:sqs:eu-west-1:444455556666:events" }, []string{"queue: must be a URL or a name"}},
		"a name with a dot": {func(c *Config) { c.Queue = "a.b" }, []string{"queue: is not the name"}},
		"a URL":             {func(c *Config) { c.Queue = "https://sqs.eu-west-1.amazonaws.com/444455556666/events" }, nil},
		"an old URL":        {func(c *Config) { c.Queue = "https://eu-west-1.queue.amazonaws.com/444455556666/events" }, nil},
		"a URL of China": {func(c *Config) {
			c.Queue, c.Region = "https://sqs.cn-north-1.amazonaws.com.cn/444455556666/q", "cn-north-1"
		}, nil},
		"a private link": {func(c *Config) { c.Queue = "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/444455556666/events" }, nil},
		"a URL and account": {func(c *Config) {
			c.Queue, c.Account = "https://sqs.eu-west-1.amazonaws.com/444455556666/events", "444455556666"
		}, []string{"account: has no meaning"}},
		"another region":                    {func(c *Config) { c.Queue = "https://sqs.us-east-1.amazonaws.com/444455556666/events" }, []string{"queue: is of region us-east-1, and region says eu-west-1"}},
		"no account in it":                  {func(c *Config) { c.Queue = "https://sqs.eu-west-1.amazonaws.com/acme/events" }, []string{"queue: names no account"}},
		"no name in it":                     {func(c *Config) { c.Queue = "https://sqs.eu-west-1.amazonaws.com/444455556666" }, []string{"queue: is not the URL of a queue"}},
		"credentials in it":                 {func(c *Config) { c.Queue = "https://u:hunter2@sqs.eu-west-1.amazonaws.com/444455556666/q" }, []string{"queue: must not hold credentials"}},
		"a query":                           {func(c *Config) { c.Queue = "https://sqs.eu-west-1.amazonaws.com/444455556666/q?a=b" }, []string{"queue: is not the URL"}},
		"a scheme of nothing":               {func(c *Config) { c.Queue = "ftp://sqs.eu-west-1.amazonaws.com/444455556666/q" }, []string{"queue: must begin with https://"}},
		"a host that cannot be":             {func(c *Config) { c.Queue = "https://sqs..amazonaws.com/444455556666/q" }, []string{"queue: names a host that cannot be"}},
		"another provider's":                {func(c *Config) { c.Queue = "https://queue.example/444455556666/q" }, []string{"queue: is of another provider"}},
		"with its endpoint":                 {func(c *Config) { c.Queue, c.Endpoint = "https://queue.example/acme/q", "https://queue.example" }, nil},
		"another region, the old way":       {func(c *Config) { c.Queue = "https://us-west-2.queue.amazonaws.com/444455556666/events" }, []string{"queue: is of region us-west-2, and region says eu-west-1"}},
		"the first region, the old way":     {func(c *Config) { c.Queue = "https://queue.amazonaws.com/444455556666/events" }, []string{"queue: is of region us-east-1, and region says eu-west-1"}},
		"an endpoint elsewhere":             {func(c *Config) { c.Endpoint = "https://sqs.us-east-1.amazonaws.com" }, []string{"endpoint: is of region us-east-1, and region says eu-west-1"}},
		"a private link elsewhere":          {func(c *Config) { c.Endpoint = "https://vpce-1.sqs.us-east-1.vpce.amazonaws.com" }, []string{"endpoint: is of region us-east-1, and region says eu-west-1"}},
		"an endpoint of AWS and no region":  {func(c *Config) { c.Endpoint, c.Region = "https://sqs.eu-west-1.amazonaws.com", "" }, []string{"endpoint: is of region eu-west-1: set region to it"}},
		"an endpoint of its region":         {func(c *Config) { c.Endpoint = "https://sqs-fips.eu-west-1.amazonaws.com" }, nil},
		"a URL of a private link elsewhere": {func(c *Config) { c.Queue = "https://vpce-1.sqs.us-east-1.vpce.amazonaws.com/444455556666/events" }, []string{"queue: is of region us-east-1, and region says eu-west-1"}},
		"no region":                         {func(c *Config) { c.Region = "" }, []string{"region: is required"}},
		"a week":                            {func(c *Config) { c.LinkTTL = 7 * 24 * time.Hour }, nil},
		"more":                              {func(c *Config) { c.LinkTTL = 7*24*time.Hour + time.Second }, []string{"link_ttl: must be whole seconds"}},
		"no life":                           {func(c *Config) { c.LinkTTL = 0 }, []string{"link_ttl: must be whole seconds"}},
		"half a second":                     {func(c *Config) { c.LinkTTL = 1500 * time.Millisecond }, []string{"link_ttl: must be whole seconds"}},
		"a bucket beside it":                {func(c *Config) { c.Payloads.S3 = &aws.BucketSettings{Bucket: "payloads"} }, nil},
		"a bucket of nothing":               {func(c *Config) { c.Payloads.S3 = &aws.BucketSettings{Bucket: "P"} }, []string{"payloads.s3.bucket: is not the name"}},
		"a bucket elsewhere": {func(c *Config) {
			c.Payloads.S3 = &aws.BucketSettings{Bucket: "payloads", Prefix: "/", Settings: aws.Settings{Endpoint: "http://minio.example"}}
		}, []string{"payloads.s3.prefix: must be a folder", "payloads.s3.endpoint: must be https"}},
		"two buckets": {func(c *Config) {
			c.Payloads.S3, c.Payloads.GCS = &aws.BucketSettings{Bucket: "payloads"}, &gcp.BucketSettings{Bucket: "payloads"}
		}, []string{"payloads: has s3 and gcs"}},
		"a bucket of Google's":       {func(c *Config) { c.Payloads.GCS = &gcp.BucketSettings{Bucket: "payloads"} }, nil},
		"a bad one":                  {func(c *Config) { c.Payloads.GCS = &gcp.BucketSettings{Bucket: "P"} }, []string{"payloads.gcs.bucket: "}},
		"everything wrong is listed": {func(c *Config) { *c = Config{Account: "x"} }, []string{"region: is required", "queue: is required", "account: must be", "link_ttl: must be"}},
	} {
		c := valid()
		tt.change(&c)
		var got []string
		if err := c.Validate(); err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		if len(got) != len(tt.faults) {
			t.Errorf("%s: %q, want %q", name, got, tt.faults)
			continue
		}
		for i, want := range tt.faults {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("%s: %q, want %q", name, got[i], want)
			}
		}
		if strings.Contains(strings.Join(got, ""), "hunter2") {
			t.Errorf("%s: a credential shows in %q", name, got)
		}
	}
}

// TestTheBucketHasTheCredentialsOfTheQueue: unless it has its own, or lies at
// another provider, who must not be sent ours.
func TestTheBucketHasTheCredentialsOfTheQueue(t *testing.T) {
	c := valid()
	c.RoleARN, c.ExternalID, c.SessionToken = "arn:aws:iam::444455556666:role/r", secret.New("ext"), secret.New("token")
	for name, tt := range map[string]struct {
		bucket                       aws.Settings
		region, key, role, ext, from string
	}{
		"nothing of its own": {aws.Settings{}, "eu-west-1", "AKIA", c.RoleARN, "ext", "token"},
		"a region":           {aws.Settings{Region: "us-east-1"}, "us-east-1", "AKIA", c.RoleARN, "ext", "token"},
		"a key":              {aws.Settings{AccessKeyID: secret.New("other"), SecretAccessKey: secret.New("s")}, "eu-west-1", "other", "", "", ""},
		"a role":             {aws.Settings{RoleARN: "arn:aws:iam::444455556666:role/other"}, "eu-west-1", "", "arn:aws:iam::444455556666:role/other", "", ""},
		"an endpoint":        {aws.Settings{Endpoint: "https://minio.example"}, "", "", "", "", ""},
	} {
		c.Payloads.S3 = &aws.BucketSettings{Bucket: "payloads", Settings: tt.bucket}
		b := c.bucket()
		if b.Region != tt.region || b.AccessKeyID.Reveal() != tt.key || b.RoleARN != tt.role || b.ExternalID.Reveal() != tt.ext || b.SessionToken.Reveal() != tt.from {
			t.Errorf("%s: %+v", name, b)
		}
		if c.Payloads.S3.Settings != tt.bucket {
			t.Errorf("%s: the settings were changed", name)
		}
	}
}

func TestWhoseCredentialsAndPayloads(t *testing.T) {
	key := aws.Settings{AccessKeyID: secret.New("k"), SecretAccessKey: secret.New("s")}
	for name, tt := range map[string]struct {
		change       func(*Config)
		ambient, own bool
	}{
		"a key":                         {func(c *Config) {}, false, false},
		"no key":                        {func(c *Config) { c.Settings = aws.Settings{} }, true, false},
		"a key for both":                {func(c *Config) { c.Payloads.S3 = &aws.BucketSettings{} }, false, true},
		"a key for the queue alone":     {func(c *Config) { c.Payloads.S3 = &aws.BucketSettings{Settings: aws.Settings{Endpoint: "https://x"}} }, true, true},
		"a key for the bucket alone":    {func(c *Config) { c.Settings, c.Payloads.S3 = aws.Settings{}, &aws.BucketSettings{Settings: key} }, true, true},
		"none for the bucket at Google": {func(c *Config) { c.Payloads.GCS = &gcp.BucketSettings{} }, true, true},
		"one for the bucket at Google's": {func(c *Config) {
			c.Payloads.GCS = &gcp.BucketSettings{Access: gcp.Access{Credentials: secret.New("{}")}}
		}, false, true},
	} {
		c := valid()
		tt.change(&c)
		if c.NeedsAmbient() != tt.ambient || c.OwnPayloads() != tt.own {
			t.Errorf("%s: ambient %v, own payloads %v", name, c.NeedsAmbient(), c.OwnPayloads())
		}
	}
}

func TestQueuesInPolicies(t *testing.T) {
	for _, tt := range []struct{ queue, account, region, arn string }{
		{"events", "", "eu-west-1", "arn:aws:sqs:eu-west-1:*:events"},
		{"events.fifo", "444455556666", "eu-west-1", "arn:aws:sqs:eu-west-1:444455556666:events.fifo"},
		{"https://sqs.cn-north-1.amazonaws.com.cn/444455556666/q", "", "cn-north-1", "arn:aws-cn:sqs:cn-north-1:444455556666:q"},
		{"events", "444455556666", "us-gov-west-1", "arn:aws-us-gov:sqs:us-gov-west-1:444455556666:events"},
	} {
		c := valid()
		c.Queue, c.Account, c.Region = tt.queue, tt.account, tt.region
		q, err := parseQueue(c)
		if err != nil || q.arn() != tt.arn {
			t.Errorf("%s: %s %v, want %s", tt.queue, q.arn(), err, tt.arn)
		}
	}
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	full := deps(t)
	noNet := full
	noNet.HTTP = nil
	for want, open := range map[string]func() error{
		"payloads: name a bucket": func() error { _, err := open(valid(), full); return err },
		"lends no transport":      func() error { _, err := open(valid(), noNet); return err },
		"access_key_id": func() error {
			c := valid()
			c.Settings = aws.Settings{Region: "eu-west-1"}
			_, err := open(c, full)
			return err
		},
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
