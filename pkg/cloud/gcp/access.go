// Package gcp reaches Google Cloud Storage over the connections that the engine
// lends: credentials, one request per call, signed links, and what failures mean.
package gcp

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/endpoint"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// DefaultEndpoint is where Cloud Storage is unless settings say otherwise.
const DefaultEndpoint = "https://storage.googleapis.com"

// Access says how to reach Cloud Storage, and as whom. Kinds and the payload
// store inline it into their settings.
type Access struct {
	// Credentials is the text of a service account's JSON key. Left out, the
	// operator's own credentials are used: see [Access.NeedsAmbient].
	Credentials secret.Value `yaml:"credentials"`
	// Endpoint is the scheme and host of a private endpoint or an emulator.
	Endpoint string `yaml:"endpoint"`
	// AllowHTTP permits plain http for Endpoint and for the key's token_uri,
	// over which tokens would then go in the clear.
	AllowHTTP bool `yaml:"allow_http"`
	// Anonymous sends no token, as emulators expect; Credentials then only sign
	// links.
	Anonymous bool `yaml:"anonymous"`
}

// NeedsAmbient tells whether the operator's own credentials are needed: those
// of the service account that the machine or pod runs as, asked of the metadata
// service. The environment (GOOGLE_APPLICATION_CREDENTIALS...) is never read.
func (a Access) NeedsAmbient() bool { return a.Credentials.IsZero() && !a.Anonymous }

// Validate reports every fault at once, each beginning with its setting's name.
// No message shows a value that may be secret.
func (a Access) Validate() error {
	var faults []error
	u, err := a.endpoint()
	if err != nil {
		faults = append(faults, fmt.Errorf("endpoint: %w", err))
	}
	if !a.Credentials.IsZero() {
		if _, err := parseAccount(a.Credentials.Reveal(), a.AllowHTTP); err != nil {
			faults = append(faults, fmt.Errorf("credentials: %w", err))
		}
	}
	if u != nil && a.NeedsAmbient() && !ofGoogle(u) {
		faults = append(faults, errors.New("endpoint: must be https below googleapis.com without credentials: the operator's own are sent nowhere else"))
	}
	if a.Anonymous && a.Endpoint == "" {
		faults = append(faults, errors.New("anonymous: is for an emulator, which endpoint must name"))
	}
	return errors.Join(faults...)
}

func (a Access) endpoint() (*url.URL, error) {
	if a.Endpoint == "" {
		return endpoint.Parse(DefaultEndpoint, false)
	}
	u, err := endpoint.Parse(a.Endpoint, a.AllowHTTP)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("must be a scheme and a host only, without the bucket or any other path: https://host or https://host:port")
	}
	u.Path = ""
	return u, nil
}

// ValidateEndpointOf refuses an endpoint with the bucket in its host, as links to
// objects have it: the API does not answer there.
func ValidateEndpointOf(bucket, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || bucket == "" {
		return nil //nolint:nilerr // Access.Validate says so
	}
	if rest, ok := strings.CutPrefix(strings.ToLower(u.Host), bucket+"."); ok && strings.HasSuffix(rest, "googleapis.com") {
		return fmt.Errorf("endpoint: must not have the bucket in its host: write %s://%s, since bucket says which", u.Scheme, rest)
	}
	return nil
}

// ofGoogle tells whether only Google can be behind u.
func ofGoogle(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return u.Scheme == "https" && strings.HasSuffix(host, ".googleapis.com") && net.ParseIP(host) == nil
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// ValidateBucket refuses what cannot be the name of a bucket.
func ValidateBucket(name string) error {
	switch {
	case name == "":
		return errors.New("is required")
	case strings.Contains(name, "/"):
		return errors.New("must be the name alone, without gs:// or a path")
	case !bucketName.MatchString(name):
		return errors.New("is not the name of a bucket: 3 to 222 of a-z, 0-9, '-', '_' and '.', beginning and ending with a letter or digit")
	}
	return nil
}
