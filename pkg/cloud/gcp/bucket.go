package gcp

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// BucketSettings is a bucket that keeps payloads.
type BucketSettings struct {
	Access `yaml:",inline"`
	Bucket string `yaml:"bucket"`
	Prefix string `yaml:"prefix"` // folder within the bucket, without slashes at its ends; "" is the top
	KMSKey string `yaml:"kms_key"`
}

// Validate reports every fault at once, each beginning with its setting's name.
func (s BucketSettings) Validate() error {
	faults := []error{s.Access.Validate(), ValidateEndpointOf(s.Bucket, s.Endpoint)}
	if err := ValidateBucket(s.Bucket); err != nil {
		faults = append(faults, fmt.Errorf("bucket: %w", err))
	}
	if s.Prefix != "" && !prefix.MatchString(s.Prefix) {
		faults = append(faults, errors.New("prefix: must be folder names of A-Z, a-z, 0-9, '.', '_', '-' and '=', with single slashes between them"))
	}
	if err := ValidateKMSKey(s.KMSKey); err != nil {
		faults = append(faults, fmt.Errorf("kms_key: %w", err))
	}
	if s.Anonymous && s.Credentials.IsZero() {
		faults = append(faults, errors.New("credentials: are required: links are signed with them"))
	}
	return errors.Join(faults...)
}

var (
	prefix = regexp.MustCompile(`^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,99}(/[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,99}){0,5}$`)
	kmsKey = regexp.MustCompile(`^projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+$`)
)

// ValidateKMSKey refuses what cannot name a key of Cloud KMS; "" is none.
func ValidateKMSKey(name string) error {
	if name != "" && !kmsKey.MatchString(name) {
		return errors.New("must be projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")
	}
	return nil
}

var (
	_ destination.PayloadStore = (*Bucket)(nil)
	_ destination.Checker      = (*Bucket)(nil)
)

// Bucket keeps payloads in Cloud Storage. Put needs storage.objects.create
// (roles/storage.objectCreator); whom links are signed for needs
// storage.objects.get (roles/storage.objectViewer).
type Bucket struct {
	client *Client
	bucket string
	prefix string
	kmsKey string
}

// OpenBucket makes a bucket of settings that are valid. It never connects.
func OpenBucket(s BucketSettings, deps destination.Deps) (*Bucket, error) {
	c, err := Open(s.Access, deps)
	if err != nil {
		return nil, err
	}
	b := &Bucket{client: c, bucket: s.Bucket, kmsKey: s.KMSKey}
	if s.Prefix != "" {
		b.prefix = s.Prefix + "/"
	}
	return b, nil
}

// Put stores p under {day}/{developer}/{id}.json. What is there already is p, since
// keys are never used twice; that it is there is seen, where that may be.
func (b *Bucket) Put(ctx context.Context, developer string, p event.Payload) error {
	name, err := b.name(developer, p.ID)
	if err != nil {
		return err
	}
	_, err = b.client.Put(ctx, Object{Bucket: b.bucket, Name: name, Body: p.Body, KMSKey: b.kmsKey}, Absent)
	if Occupied(err) {
		if _, _, err = b.client.Stat(ctx, b.bucket, name); Denied(err) {
			return nil // links lead nowhere then, which the check says
		}
	}
	return err
}

// Link returns a presigned GET: see [Client.Link].
func (b *Bucket) Link(ctx context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	name, err := b.name(developer, id)
	if err != nil {
		return destination.Link{}, err
	}
	return b.client.Link(ctx, b.bucket, name, ttl)
}

// name is where a payload lies.
func (b *Bucket) name(developer, id string) (string, error) {
	k, err := event.PayloadKeyOf(developer, id)
	if err != nil {
		return "", err
	}
	return b.prefix + k.String(), nil
}

// String says which bucket it is, and GoString keeps credentials out of %#v.
func (b *Bucket) String() string   { return strings.TrimSuffix("gs://"+b.bucket+"/"+b.prefix, "/") }
func (b *Bucket) GoString() string { return b.String() }
