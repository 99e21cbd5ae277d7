package aws

import (
	"strings"
	"testing"
)

// TestEndpointsWithTheBucket are what pages of providers show for copying.
func TestEndpointsWithTheBucket(t *testing.T) {
	const host, path, own = "endpoint: must not have the bucket in its host: write ", "endpoint: must not have the bucket in its path: write ", "endpoint: is the bucket's own name"
	const readers = "endpoint: is for readers"
	for endpoint, want := range map[string]string{ // want "": sound
		"https://0123.r2.cloudflarestorage.com/acme":               path + "https://0123.r2.cloudflarestorage.com, since",
		"https://0123.r2.cloudflarestorage.com/acme/":              path + "https://0123.r2.cloudflarestorage.com, since",
		"https://0123.eu.r2.cloudflarestorage.com/acme":            path,
		"https://s3.eu-west-1.amazonaws.com/acme":                  path,
		"https://project.example/storage/v1/s3/acme":               path + "https://project.example/storage/v1/s3, since",
		"https://acme.0123.r2.cloudflarestorage.com":               host + "https://0123.r2.cloudflarestorage.com, since",
		"https://ACME.s3.eu-west-1.amazonaws.com":                  host + "https://s3.eu-west-1.amazonaws.com, since",
		"https://acme.s3-accelerate.amazonaws.com":                 host,
		"https://acme.fra1.digitaloceanspaces.com":                 host + "https://fra1.digitaloceanspaces.com, since",
		"https://acme.s3.us-west-000.backblazeb2.com":              host,
		"https://acme.s3.internal:9000":                            host + "https://s3.internal:9000, since",
		"https://acme.storage.googleapis.com":                      host,
		"https://acme.s3-website-eu-west-1.amazonaws.com":          readers,
		"https://s3-website.eu-central-1.amazonaws.com":            readers,
		"https://acme.nyc3.cdn.digitaloceanspaces.com":             readers,
		"https://pub-0123.r2.dev":                                  readers,
		"https://eu-west-1.console.aws.amazon.com/s3/buckets/acme": readers,
		"https://acme":                             own,
		"https://acme:9000":                        own,
		"":                                         "",
		"https://0123.r2.cloudflarestorage.com":    "",
		"https://fra1.digitaloceanspaces.com":      "",
		"https://project.example/storage/v1/s3":    "",
		"https://acme.example":                     "", // a company's own, whose bucket has its name
		"https://acmes.s3.eu-west-1.amazonaws.com": "",
		"https://bucket.vpce-1a2b3c4d.s3.us-east-1.vpce.amazonaws.com": "",
		"https://proxy.example/acme-s3":                                "",
	} {
		s, bucket := settings(), "acme"
		if strings.Contains(endpoint, "vpce") {
			bucket = "bucket"
		}
		s.Region, s.Endpoint = "eu-west-1", endpoint
		err := BucketSettings{Bucket: bucket, Settings: s}.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", endpoint, err, want)
		}
	}
}
