package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// outcome is what became of an object.
type outcome int

const (
	stored    outcome = iota
	left              // it, or a newer one of the same identity, is there already
	unread            // stored over what may not be read
	unchecked         // stored without a condition, which the service does not know
	next              // the key is another's
	outcomes
)

// String words it for the log.
func (o outcome) String() string {
	return [...]string{"stored", "there already or newer", "stored, but reading is denied: an older or unrelated object may have been replaced, or a newer one",
		"stored without a condition, which the service does not know: a newer object may have been replaced", "left to another"}[o]
}

// rounds is how often an object may lose a race for one key.
const rounds = 5

// place stores o under the first of its keys that is free, or its own.
func (b *bucket) place(ctx context.Context, o *object) (outcome, error) {
	w, err := b.write(o)
	if err != nil {
		return 0, err
	}
	for _, key := range o.keys {
		how, err := b.placeAt(ctx, key, o.meta, w)
		if err != nil || how != next {
			return how, err
		}
	}
	return 0, destination.Reject(fmt.Errorf("store %s: all keys that it may have are taken by others", o.keys[0]))
}

// placeAt stores an object under key, but never over an unrelated or a newer
// one. The first put needs no right to read, and is enough for every new key.
// Whoever finds the key taken compares what lies there and replaces exactly
// that, or begins anew.
func (b *bucket) placeAt(ctx context.Context, key string, meta objectkey.Metadata, w *writing) (outcome, error) {
	if b.unconditional.Load() {
		return b.placeUnconditionally(ctx, key, meta, w)
	}
	taken := false
	for range rounds {
		if !taken {
			err := b.put(ctx, key, meta, w, func(in *sdk.PutObjectInput) { in.IfNoneMatch = ptr("*") })
			switch status(err) {
			case http.StatusPreconditionFailed:
			case http.StatusConflict: // somebody writes it at this moment
				continue
			case http.StatusNotImplemented:
				return b.placeUnconditionally(ctx, key, meta, w)
			default:
				return stored, b.fault(putting, key, err)
			}
			taken = true
		}
		theirs, err := b.head(ctx, key)
		switch status(err) {
		case http.StatusNotFound: // deleted meanwhile
			taken = false
			continue
		case http.StatusForbidden:
			return b.placeUnread(ctx, key, meta, w)
		}
		if err != nil {
			return 0, b.fault(reading, key, err)
		}
		switch meta.Against(theirs.Metadata) {
		case objectkey.Leave:
			return left, nil
		case objectkey.Next:
			return next, nil
		}
		err = b.put(ctx, key, meta, w, func(in *sdk.PutObjectInput) { in.IfMatch = theirs.ETag })
		switch status(err) {
		case http.StatusPreconditionFailed, http.StatusConflict: // somebody was faster
		case http.StatusNotFound:
			if aws.Code(err) == "NoSuchBucket" {
				return 0, b.fault(putting, key, err)
			}
			taken = false
		case http.StatusNotImplemented:
			return b.placeUnconditionally(ctx, key, meta, w)
		default:
			return stored, b.fault(putting, key, err)
		}
	}
	return 0, fmt.Errorf("store %s: others wrote it first, %d times in a row", key, rounds)
}

var errUnread = errors.New("the key is taken, and reading what lies there is denied: grant s3:GetObject, or set stale: overwrite, which may replace newer and unrelated objects")

// placeUnread is for credentials that may write, but not read.
func (b *bucket) placeUnread(ctx context.Context, key string, meta objectkey.Metadata, w *writing) (outcome, error) {
	if b.strict {
		return 0, destination.Misconfigure(fmt.Errorf("store %s: %w", key, errUnread))
	}
	return unread, b.fault(putting, key, b.put(ctx, key, meta, w, nil))
}

var errUnconditional = errors.New("the service knows no conditional writes: set stale: overwrite, which may replace newer objects in a race, or use another service")

// placeUnconditionally is for services without conditional writes: it looks
// first, as far as it may, and hopes that nobody else writes in between.
func (b *bucket) placeUnconditionally(ctx context.Context, key string, meta objectkey.Metadata, w *writing) (outcome, error) {
	b.unconditional.Store(true)
	if b.strict {
		return 0, destination.Misconfigure(fmt.Errorf("store %s: %w", key, errUnconditional))
	}
	theirs, err := b.head(ctx, key)
	switch answered := status(err); {
	case err == nil:
		switch meta.Against(theirs.Metadata) {
		case objectkey.Leave:
			return left, nil
		case objectkey.Next:
			return next, nil
		}
	case answered != http.StatusNotFound && answered != http.StatusForbidden:
		return 0, b.fault(reading, key, err)
	}
	return unchecked, b.fault(putting, key, b.put(ctx, key, meta, w, nil))
}

// put makes one request; condition may be nil.
func (b *bucket) put(ctx context.Context, key string, meta objectkey.Metadata, w *writing, condition func(*sdk.PutObjectInput)) error {
	in := b.common
	in.Key, in.Metadata = &key, meta
	in.Body = w.reader()
	in.ChecksumSHA256 = &w.checksum
	if condition != nil {
		condition(&in)
	}
	_, err := b.client.PutObject(ctx, &in, w.upload)
	return err
}

func (b *bucket) head(ctx context.Context, key string) (*sdk.HeadObjectOutput, error) {
	return b.client.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: b.common.Bucket, Key: &key, ExpectedBucketOwner: b.common.ExpectedBucketOwner})
}
