package aws

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// providers are hosts of services that put a bucket's name before their own.
var providers = regexp.MustCompile(`(^|\.)(s3[.-]|amazonaws\.com|r2\.cloudflarestorage\.com|digitaloceanspaces\.com|backblazeb2\.com|wasabisys\.com|` +
	`storage\.googleapis\.com|linodeobjects\.com|scw\.cloud|aliyuncs\.com|myqcloud\.com|ovh\.net|vultrobjects\.com|idrivee2[^.]*\.com|storjshare\.io)`)

// readers are hosts for browsers and readers of objects, which take none.
var readers = regexp.MustCompile(`(^|\.)(s3-website[.-].*|console\.aws\.amazon\.com|dash\.cloudflare\.com|.*\.r2\.dev|.*\.cdn\.digitaloceanspaces\.com|.*\.cloudfront\.net)$`)

// ValidateEndpointOf refuses an endpoint with the bucket in its path or its
// host, as the pages of providers show it for copying: keys would lie below
// bucket/bucket/, or in no bucket at all; and hosts where nothing can be stored.
// Other paths belong to the service.
func ValidateEndpointOf(bucket, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" || bucket == "" {
		return nil //nolint:nilerr // Settings.Validate says so
	}
	host := strings.ToLower(u.Host)
	path := strings.TrimRight(u.Path, "/")
	rest, ofBucket := strings.CutPrefix(host, bucket+".")
	switch {
	case readers.MatchString(u.Hostname()):
		return fmt.Errorf("endpoint: is for readers or for browsers (a website, a CDN, a console): write the host of the S3 API, or leave it out for AWS")
	case path == "/"+bucket || strings.HasSuffix(path, "/"+bucket):
		return fmt.Errorf("endpoint: must not have the bucket in its path: write %s://%s%s, since bucket says which", u.Scheme, u.Host, strings.TrimSuffix(path, "/"+bucket))
	case ofBucket && providers.MatchString(rest) && !strings.HasPrefix(rest, "vpce-"): // of private links all hosts begin with "bucket."
		return fmt.Errorf("endpoint: must not have the bucket in its host: write %s://%s%s, since bucket says which (path_style: false puts it there)", u.Scheme, rest, path)
	case u.Hostname() == bucket:
		return fmt.Errorf("endpoint: is the bucket's own name: write the host of the service, since bucket says which")
	}
	return nil
}
