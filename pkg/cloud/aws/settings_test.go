package aws

import (
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	testKey      = "AKIATESTTESTTEST"
	testSecret   = "very/secret+key%of<tests>"
	testToken    = "a-session-token/+=="
	testRole     = "arn:aws:iam::111122223333:role/fantail"
	testExternal = "external-id-of-tests"
)

func settings() Settings {
	return Settings{Region: "eu-west-1", AccessKeyID: secret.New(testKey), SecretAccessKey: secret.New(testSecret)}
}

func TestValidateNamesEveryFault(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Settings)
		want   []string // what the messages hold; none: it is valid
	}{
		{"keys", func(*Settings) {}, nil},
		{"temporary keys", func(s *Settings) { s.SessionToken = secret.New(testToken) }, nil},
		{"ambient", func(s *Settings) { *s = Settings{Region: "eu-west-1"} }, nil},
		{"a role by the operator", func(s *Settings) {
			*s = Settings{Region: "cn-north-1", RoleARN: "arn:aws-cn:iam::123456789012:role/path/fantail", ExternalID: secret.New(testExternal)}
		}, nil},
		{"an endpoint needs no region", func(s *Settings) { s.Region, s.Endpoint = "", "https://minio.example:9000" }, nil},
		{"an endpoint with a path", func(s *Settings) { s.Endpoint = "https://project.example/storage/v1/s3" }, nil},
		{"http allowed", func(s *Settings) { s.Endpoint, s.AllowHTTP = "http://minio.example", true }, nil},
		{"no region", func(s *Settings) { s.Region = "" }, []string{"region: is required"}},
		{"a host as region", func(s *Settings) { s.Region = "evil.example/" }, []string{"region: is not"}},
		{"http", func(s *Settings) { s.Endpoint = "http://minio.example" }, []string{"endpoint: must be https: plain http needs allow_http"}},
		{"another scheme", func(s *Settings) { s.Endpoint = "ftp://minio.example" }, []string{"endpoint: must begin with https://"}},
		{"credentials in the endpoint", func(s *Settings) { s.Endpoint = "https://u:password@minio.example" }, []string{"endpoint: must not hold credentials"}},
		{"a query", func(s *Settings) { s.Endpoint = "https://minio.example?x=" + testToken }, []string{"endpoint: must not have a query"}},
		{"a zone", func(s *Settings) { s.Endpoint = "https://[fe80::1%25eth0]:9000" }, []string{"endpoint: must not name a zone"}},
		{"another script", func(s *Settings) { s.Endpoint = "https://müller.example" }, []string{"endpoint: must have visible ASCII"}},
		{"a blank in the path", func(s *Settings) { s.Endpoint = "https://minio.example/a b" }, []string{"endpoint: must have visible ASCII"}},
		{"a host that cannot be", func(s *Settings) { s.Endpoint = "https://minio..example" }, []string{"endpoint: names a host that cannot be"}},
		{"a host of STS that cannot be", func(s *Settings) { s.RoleARN, s.STSEndpoint = testRole, "https://*.sts.example" }, []string{"sts_endpoint: names a host that cannot be"}},
		{"no host", func(s *Settings) { s.Endpoint = "https:///x" }, []string{"endpoint: names no host"}},
		{"port 0", func(s *Settings) { s.Endpoint = "https://minio.example:0" }, []string{"endpoint: has no valid port"}},
		{"no URL", func(s *Settings) { s.Endpoint = "https://%zz" }, []string{"endpoint: is not a URL"}},
		{"half a key", func(s *Settings) { s.SecretAccessKey = secret.Value{} }, []string{"secret_access_key: is required with access_key_id"}},
		{"the other half", func(s *Settings) { s.AccessKeyID = secret.Value{} }, []string{"access_key_id: is required with secret_access_key"}},
		{"a line's end", func(s *Settings) { s.SecretAccessKey = secret.New(testSecret + "\n") }, []string{"secret_access_key: must have visible"}},
		{"a lone token", func(s *Settings) { *s = Settings{Region: "eu-west-1", SessionToken: secret.New(testToken)} }, []string{"session_token: belongs to"}},
		{"no role", func(s *Settings) { s.RoleARN = "arn:aws:iam::123456789012:user/x" }, []string{"role_arn: is not the ARN of a role"}},
		{"external id alone", func(s *Settings) { s.ExternalID = secret.New(testExternal) }, []string{"external_id: has no meaning"}},
		{"bad external id", func(s *Settings) { s.RoleARN, s.ExternalID = testRole, secret.New("a b") }, []string{"external_id: must have"}},
		{"sts alone", func(s *Settings) { s.STSEndpoint = "https://sts.example" }, []string{"sts_endpoint: has no meaning"}},
		{"several", func(s *Settings) { s.Region, s.SecretAccessKey = "", secret.Value{} }, []string{"region:", "secret_access_key:"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := settings()
			c.change(&s)
			err := s.Validate()
			if (err == nil) != (c.want == nil) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v lacks %q", err, w)
				}
			}
			if err != nil && (strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), testToken)) {
				t.Errorf("it shows a secret: %v", err)
			}
		})
	}
}

func TestValidateBucketSettings(t *testing.T) {
	cases := []struct{ bucket, prefix, want string }{
		{"payloads", "", ""},
		{"my.bucket-1", "fantail/payloads", ""},
		{"", "", "bucket: is required"},
		{"Payloads", "", "bucket: is not"},
		{"a..b", "", "bucket: is not"},
		{"arn:aws:s3:eu-west-1:123456789012:accesspoint/x", "", "bucket: must be a name"},
		{"fast--use1-az4--x-s3", "", "directory bucket"},
		{"payloads", "/x", "prefix:"},
		{"payloads", "x/", "prefix:"},
		{"payloads", "a/../b", "prefix:"},
		{"payloads", "a//b", "prefix:"},
		{"payloads", "a%2fb", "prefix:"},
	}
	for _, c := range cases {
		err := BucketSettings{Bucket: c.bucket, Prefix: c.prefix, Settings: settings()}.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %q: got %v, want %q", c.bucket, c.prefix, err, c.want)
		}
	}
}

func TestWhoNeedsTheOperatorsCredentials(t *testing.T) {
	cases := []struct {
		name               string
		s                  Settings
		ambient, temporary bool
	}{
		{"keys", settings(), false, false},
		{"temporary keys", Settings{AccessKeyID: secret.New("a"), SecretAccessKey: secret.New("b"), SessionToken: secret.New("c")}, false, true},
		{"keys and a role", Settings{AccessKeyID: secret.New("a"), SecretAccessKey: secret.New("b"), RoleARN: testRole}, false, true},
		{"a role", Settings{RoleARN: testRole}, true, true},
		{"nothing", Settings{}, true, true},
	}
	for _, c := range cases {
		if c.s.NeedsAmbient() != c.ambient || c.s.Temporary() != c.temporary {
			t.Errorf("%s: ambient %v, temporary %v", c.name, c.s.NeedsAmbient(), c.s.Temporary())
		}
	}
}
