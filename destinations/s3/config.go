package s3

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Definition is the kind "s3"; see destinations/all.
func Definition() destination.Definition {
	return destination.Define("s3", destination.Traits{Timeout: 5 * time.Minute}, defaults, open)
}

// The values of sse.
const (
	sseS3  = "s3"
	sseKMS = "kms"
)

// Config is the settings of one bucket.
type Config struct {
	Bucket    string             `yaml:"bucket"`
	PathStyle *bool              `yaml:"path_style"` // the bucket in the path instead of in the host's name; left out: with an endpoint
	Account   aws.Settings       `yaml:",inline"`
	Keys      objectkey.Settings `yaml:",inline"`

	StorageClass        string `yaml:"storage_class"` // "": the bucket's
	SSE                 string `yaml:"sse"`           // "s3" or "kms"; "": the bucket's
	KMSKeyID            string `yaml:"kms_key_id"`    // with kms; "": the account's default key
	ACL                 string `yaml:"acl"`           // "": none is sent
	ExpectedBucketOwner string `yaml:"expected_bucket_owner"`
}

var _ destination.Ambienter = Config{}

func defaults() Config {
	return Config{Keys: objectkey.Defaults()}
}

// NeedsAmbient tells whether the operator's own credentials are needed.
func (c Config) NeedsAmbient() bool { return c.Account.NeedsAmbient() }

var (
	ownerForm = regexp.MustCompile(`^\d{12}$`)
	keyIDForm = regexp.MustCompile(`^[A-Za-z0-9:/_-]{1,512}$`)
)

// acls are those of S3 that make nothing public.
var acls = []string{"private", "bucket-owner-read", "bucket-owner-full-control"}

// Validate reports every fault at once, joined, each beginning with the path
// of its setting. No message shows a value that may be a credential.
func (c Config) Validate() error {
	faults := []error{aws.ValidateBucket(c.Bucket), c.Account.Validate(), aws.ValidateEndpointOf(c.Bucket, c.Account.Endpoint), c.Keys.Validate()}
	choice := func(path, value string, of ...string) {
		if !slices.Contains(of, value) {
			faults = append(faults, fmt.Errorf("%s: must be %s", path, strings.Join(slices.DeleteFunc(of, func(v string) bool { return v == "" }), " or ")))
		}
	}
	choice("sse", c.SSE, "", sseS3, sseKMS)
	choice("acl", c.ACL, append([]string{""}, acls...)...)
	classes := []string{""}
	for _, class := range types.StorageClass("").Values() {
		classes = append(classes, string(class))
	}
	choice("storage_class", c.StorageClass, classes...)
	if c.KMSKeyID != "" && c.SSE != sseKMS {
		faults = append(faults, errors.New("kms_key_id: has no meaning without sse: kms"))
	}
	if c.KMSKeyID != "" && !keyIDForm.MatchString(c.KMSKeyID) {
		faults = append(faults, errors.New("kms_key_id: is neither the id, the alias nor the ARN of a key"))
	}
	if c.ExpectedBucketOwner != "" && !ownerForm.MatchString(c.ExpectedBucketOwner) {
		faults = append(faults, errors.New("expected_bucket_owner: is not the id of an AWS account, 12 digits"))
	}
	return errors.Join(faults...)
}
