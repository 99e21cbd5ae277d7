package gcs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Definition is the kind "gcs"; see destinations/all.
func Definition() destination.Definition {
	return destination.Define("gcs", destination.Traits{Timeout: 5 * time.Minute}, defaults, open)
}

// Config is the settings of one bucket.
type Config struct {
	gcp.Access         `yaml:",inline"`
	objectkey.Settings `yaml:",inline"`

	Bucket       string `yaml:"bucket"`
	StorageClass string `yaml:"storage_class"` // "" is the bucket's default
	KMSKey       string `yaml:"kms_key"`       // "" is the bucket's default
	// PredefinedACL is for buckets without uniform access. Those that would
	// publish health data are not taken.
	PredefinedACL string `yaml:"predefined_acl"`
}

var (
	_ destination.Ambienter = Config{}

	storageClasses = []string{"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"}
	predefinedACLs = []string{"private", "projectPrivate", "bucketOwnerRead", "bucketOwnerFullControl"}
)

func defaults() Config {
	return Config{Settings: objectkey.Defaults()}
}

// Validate reports every fault at once, each beginning with its setting's name.
func (c Config) Validate() error {
	faults := []error{c.Access.Validate(), gcp.ValidateEndpointOf(c.Bucket, c.Endpoint), c.Settings.Validate()}
	at := func(setting string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", setting, err))
		}
	}
	at("bucket", gcp.ValidateBucket(c.Bucket))
	at("storage_class", oneOf(c.StorageClass, storageClasses))
	at("kms_key", gcp.ValidateKMSKey(c.KMSKey))
	at("predefined_acl", oneOf(c.PredefinedACL, predefinedACLs))
	return errors.Join(faults...)
}

func oneOf(value string, values []string) error {
	if slices.Contains(values, value) || value == "" {
		return nil
	}
	return errors.New("must be one of " + strings.Join(values, ", "))
}
