// Package ownbucket is the bucket that a destination may name for what its links
// lead to; with none, the operator's payload store keeps it.
package ownbucket

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Settings are the setting `payloads` of a kind that links to payloads.
type Settings struct {
	S3  *aws.BucketSettings `yaml:"s3"`
	GCS *gcp.BucketSettings `yaml:"gcs"`
}

// Named tells whether there is a bucket of the destination's own.
func (s Settings) Named() bool { return s.S3 != nil || s.GCS != nil }

// NeedsAmbient tells whether the bucket needs the operator's own credentials.
func (s Settings) NeedsAmbient() bool {
	return s.S3 != nil && s.S3.NeedsAmbient() || s.GCS != nil && s.GCS.NeedsAmbient()
}

// Validate reports every fault at once, joined, each beginning with the path of
// its setting, "payloads" included.
func (s Settings) Validate() error {
	var faults []error
	if s.S3 != nil && s.GCS != nil {
		faults = append(faults, errors.New("payloads: has s3 and gcs: choose one"))
	}
	if s.S3 != nil {
		faults = append(faults, prefixed("payloads.s3.", s.S3.Validate()))
	}
	if s.GCS != nil {
		faults = append(faults, prefixed("payloads.gcs.", s.GCS.Validate()))
	}
	return errors.Join(faults...)
}

// prefixed puts path before each of several faults.
func prefixed(path string, err error) error {
	many, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return fmt.Errorf("%s%w", path, err)
	}
	var all []error
	for _, e := range many.Unwrap() {
		all = append(all, prefixed(path, e))
	}
	return errors.Join(all...)
}

// Store is where payloads go.
type Store struct {
	destination.PayloadStore
	own bool
}

// Open returns the bucket of s or, if it names none, the operator's store. It
// never connects.
func (s Settings) Open(deps destination.Deps) (*Store, error) {
	var store destination.PayloadStore
	var err error
	switch {
	case s.S3 != nil:
		store, err = aws.OpenBucket(*s.S3, deps)
		err = prefixed("payloads.s3.", err)
	case s.GCS != nil:
		store, err = gcp.OpenBucket(*s.GCS, deps)
		err = prefixed("payloads.gcs.", err)
	case deps.Payloads == nil:
		err = errors.New("payloads: name a bucket, since the operator keeps no payloads (payloads in fantail.yaml)")
	default:
		store = deps.Payloads
	}
	if err != nil {
		return nil, err
	}
	return &Store{store, s.Named()}, nil
}

// Check is [destination.Checker]'s, of the destination's own bucket: the
// operator looks after theirs.
func (s *Store) Check(ctx context.Context) error {
	if c, ok := s.PayloadStore.(destination.Checker); ok && s.own {
		return c.Check(ctx)
	}
	return nil
}

// Close ends what belongs to the bucket. The operator's store is left alone.
func (s *Store) Close() error {
	if c, ok := s.PayloadStore.(io.Closer); ok && s.own {
		return c.Close()
	}
	return nil
}
