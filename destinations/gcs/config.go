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

// The values of stale and content.
const (
	staleOverwrite = "overwrite"
	staleFail      = "fail"

	contentEvent = "event"
	contentItem  = "item"
)

// Config is the settings of one bucket.
type Config struct {
	gcp.Access         `yaml:",inline"`
	objectkey.Settings `yaml:",inline"`

	Bucket       string `yaml:"bucket"`
	Gzip         bool   `yaml:"gzip"`          // stored compressed, as Content-Encoding says; Cloud Storage decompresses for who does not take it
	StorageClass string `yaml:"storage_class"` // "" is the bucket's default
	KMSKey       string `yaml:"kms_key"`       // "" is the bucket's default
	// PredefinedACL is for buckets without uniform access. Those that would
	// publish health data are not taken.
	PredefinedACL string `yaml:"predefined_acl"`
	// Stale says what happens to a key that is taken where the credentials may
	// not read what lies there: "overwrite" or "fail".
	Stale string `yaml:"stale"`
	// Content is "event", an item with the event around it, or "item", the item
	// with the event's user in it.
	Content string `yaml:"content"`
}

var (
	_ destination.Ambienter = Config{}

	storageClasses = []string{"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"}
	predefinedACLs = []string{"private", "projectPrivate", "bucketOwnerRead", "bucketOwnerFullControl"}
)

func defaults() Config {
	return Config{Settings: objectkey.Defaults(), Stale: staleOverwrite, Content: contentEvent}
}

// Validate reports every fault at once, each beginning with its setting's name.
func (c Config) Validate() error {
	faults := []error{c.Access.Validate(), c.Settings.Validate()}
	at := func(setting string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", setting, err))
		}
	}
	at("bucket", gcp.ValidateBucket(c.Bucket))
	at("storage_class", oneOf(c.StorageClass, storageClasses, true))
	at("kms_key", gcp.ValidateKMSKey(c.KMSKey))
	at("predefined_acl", oneOf(c.PredefinedACL, predefinedACLs, true))
	at("stale", oneOf(c.Stale, []string{staleOverwrite, staleFail}, false))
	at("content", oneOf(c.Content, []string{contentEvent, contentItem}, false))
	return errors.Join(faults...)
}

func oneOf(value string, values []string, optional bool) error {
	if slices.Contains(values, value) || optional && value == "" {
		return nil
	}
	return errors.New("must be one of " + strings.Join(values, ", "))
}
