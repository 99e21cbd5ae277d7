// Package aws opens accounts of Amazon Web Services, and of services that speak
// their protocols, for destinations and for payload stores: credentials, a
// configuration of the SDK whose every connection passes the engine's guard,
// what an error means, and buckets that hold payloads.
package aws

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/endpoint"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Settings say which account to use and where; kinds inline them. Texts that
// are credentials, or often kept beside them, are secret.Value, so that they
// take references.
type Settings struct {
	Region    string `yaml:"region"`     // required, but with Endpoint us-east-1 is assumed
	Endpoint  string `yaml:"endpoint"`   // of another provider or of a private link; "": AWS itself
	AllowHTTP bool   `yaml:"allow_http"` // permits an Endpoint that begins with http://

	// With neither a key nor a role the operator's own credentials are used,
	// where they permit it.
	AccessKeyID     secret.Value `yaml:"access_key_id"`
	SecretAccessKey secret.Value `yaml:"secret_access_key"`
	SessionToken    secret.Value `yaml:"session_token"` // of temporary keys

	// RoleARN is assumed with the key above, else with the operator's own credentials.
	RoleARN     string       `yaml:"role_arn"`
	ExternalID  secret.Value `yaml:"external_id"`  // what the role's trust policy asks for
	STSEndpoint string       `yaml:"sts_endpoint"` // where to assume it; "": AWS itself in Region
}

// defaultRegion is what providers that know no regions are told.
const defaultRegion = "us-east-1"

// NeedsAmbient tells whether the operator's own credentials are needed.
func (s Settings) NeedsAmbient() bool { return s.AccessKeyID.IsZero() && s.SecretAccessKey.IsZero() }

// Temporary tells whether the credentials end by themselves, so that a link
// made with them may live shorter than it was asked to. Of the operator's own
// nobody knows before they are used.
func (s Settings) Temporary() bool {
	return s.RoleARN != "" || !s.SessionToken.IsZero() || s.NeedsAmbient()
}

var (
	regionForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	roleForm    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[\x21-\x7e]{1,512}$`)
	idForm      = regexp.MustCompile(`^[\w+=,.@:/-]+$`) // of an external id, by the reference of AssumeRole
	visibleForm = regexp.MustCompile(`^[\x21-\x7e]*$`)
)

// Validate reports every fault at once, joined, each beginning with the path
// of its setting. No message shows a value that may be a credential.
func (s Settings) Validate() error {
	var faults []error
	wrong := func(bad bool, path, what string) {
		if bad {
			faults = append(faults, fmt.Errorf("%s: %s", path, what))
		}
	}
	wrong(s.Region == "" && s.Endpoint == "", "region", "is required, such as eu-west-1")
	wrong(s.Region != "" && !regionForm.MatchString(s.Region), "region", "is not the name of a region, such as eu-west-1")
	if err := checkEndpoint(s.Endpoint, s.AllowHTTP); err != nil {
		faults = append(faults, fmt.Errorf("endpoint: %w", err))
	}
	if err := checkEndpoint(s.STSEndpoint, s.AllowHTTP); err != nil {
		faults = append(faults, fmt.Errorf("sts_endpoint: %w", err))
	}
	const invisible = "must have visible ASCII characters only, no blank and no line's end"
	wrong(!visibleForm.MatchString(s.AccessKeyID.Reveal()), "access_key_id", invisible)
	wrong(!visibleForm.MatchString(s.SecretAccessKey.Reveal()), "secret_access_key", invisible)
	wrong(!visibleForm.MatchString(s.SessionToken.Reveal()), "session_token", invisible)
	wrong(s.AccessKeyID.IsZero() && !s.SecretAccessKey.IsZero(), "access_key_id", "is required with secret_access_key")
	wrong(!s.AccessKeyID.IsZero() && s.SecretAccessKey.IsZero(), "secret_access_key", "is required with access_key_id")
	wrong(!s.SessionToken.IsZero() && s.NeedsAmbient(), "session_token", "belongs to an access_key_id and a secret_access_key")
	wrong(s.RoleARN != "" && !roleForm.MatchString(s.RoleARN), "role_arn", "is not the ARN of a role, such as arn:aws:iam::123456789012:role/fantail")
	id := s.ExternalID.Reveal()
	wrong(id != "" && (len(id) < 2 || len(id) > 1224 || !idForm.MatchString(id)), "external_id", "must have 2 to 1224 letters, digits or characters of +=,.@:/-_")
	wrong(id != "" && s.RoleARN == "", "external_id", "has no meaning without role_arn")
	wrong(s.STSEndpoint != "" && s.RoleARN == "", "sts_endpoint", "has no meaning without role_arn")
	return errors.Join(faults...)
}

// checkEndpoint judges the address of a service. Its errors never show the text.
func checkEndpoint(text string, allowHTTP bool) error {
	if text == "" {
		return nil
	}
	_, err := endpoint.Parse(text, allowHTTP)
	switch {
	case err != nil:
		return err
	case strings.Contains(text, "?"):
		return errors.New("must not have a query")
	case !visibleForm.MatchString(text): // the SDK is given the text
		return errors.New("must have visible ASCII characters only: write a host in another script in its xn-- form")
	}
	return nil
}
