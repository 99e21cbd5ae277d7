package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

var _ objectkey.Bucket = (*writing)(nil)

// writing is one object on its way into the bucket.
type writing struct {
	*bucket
	meta    objectkey.Metadata
	own     []string // the keys that nothing else can hold
	content *aws.Content
}

func (b *bucket) write(o objectkey.Object) (*writing, error) {
	body := o.Body
	if b.zip != nil {
		var err error
		if body, err = b.zip.Compress(body); err != nil {
			return nil, fmt.Errorf("store %s: %w", o.Keys[0], err)
		}
	}
	return &writing{b, o.Meta, o.Keys[min(o.Own, len(o.Keys)):], aws.NewContent(body)}, nil
}

// PutIf implements [objectkey.Bucket]; a version is an ETag.
func (w *writing) PutIf(ctx context.Context, key, version string) (objectkey.Answer, error) {
	in := w.input(key)
	if version == "" {
		in.IfNoneMatch = ptr("*")
	} else {
		in.IfMatch = &version
	}
	unproven := version == "" && !slices.Contains(w.own, key) && !w.proven.Load() && !w.writer.NoConditions()
	prove := unproven && w.proving.CompareAndSwap(false, true)
	if prove {
		defer w.proving.Store(false)
	}
	if unproven {
		if _, err := w.head(ctx, key); err == nil {
			return objectkey.Occupied, errTaken
		}
	}
	stored, err := w.writer.Put(ctx, in, w.content)
	if err == nil {
		if prove {
			w.prove(ctx, in, stored.ETag)
		}
		return objectkey.OK, nil
	}
	switch answered := status(err); {
	case errors.Is(err, aws.ErrUnconditional):
		return objectkey.Unsupported, err
	case folders[aws.Code(err)]:
		return objectkey.Folder, err
	case aws.Taken(err),
		version == "" && answered == http.StatusForbidden && locked(w.said(key, err)): // some services look at the lock before the condition
		return objectkey.Occupied, err
	case aws.Busy(err):
		return objectkey.Busy, err
	case answered == http.StatusNotFound && version != "" && aws.Code(err) != "NoSuchBucket":
		return objectkey.Missing, err
	}
	return objectkey.Failed, w.refused(key, version != "", err)
}

// folders are what services that keep objects as files say of a key below which
// somebody keeps others.
var folders = map[string]bool{"ExistingObjectIsDirectory": true, "XMinioObjectExistsAsDirectory": true}

// Put implements [objectkey.Bucket].
func (w *writing) Put(ctx context.Context, key string, taken bool) error {
	_, err := w.writer.Put(ctx, w.input(key), w.content)
	return w.refused(key, taken, err)
}

// Stat implements [objectkey.Bucket].
func (w *writing) Stat(ctx context.Context, key string) (string, objectkey.Metadata, objectkey.Answer, error) {
	out, err := w.head(ctx, key)
	switch {
	case err == nil && w.alters.Load():
		return "", nil, objectkey.Denied, errAlters
	case err == nil: // services compare weak ETags with nothing (RFC 9110, 13.1.1)
		return strings.TrimPrefix(*out.ETag, "W/"), out.Metadata, objectkey.OK, nil
	}
	fault := w.fault(reading, key, err)
	switch status(err) {
	case http.StatusNotFound:
		return "", nil, objectkey.Missing, fault
	case http.StatusForbidden:
		return "", nil, objectkey.Denied, fault
	}
	return "", nil, objectkey.Failed, fault
}

func (w *writing) input(key string) sdk.PutObjectInput {
	in := w.common
	in.Key, in.Metadata = &key, w.meta
	return in
}

var (
	errTaken  = errors.New("the key is taken")
	errAlters = errors.New("the service loses or alters the metadata of objects (x-amz-meta-...), so that what has a key cannot be known")
)

// prove stores once more what was stored on condition that nothing has its key, and
// looks at it. A service that ignores conditions without a word would write over
// unrelated objects; one that alters metadata would have us take them for older
// versions. The first new object of an opened destination shows either.
func (w *writing) prove(ctx context.Context, in sdk.PutObjectInput, etag string) {
	switch again, err := w.writer.Put(ctx, in, w.content); {
	case err == nil:
		w.writer.NoteUnconditional()
		etag = again.ETag
	case !aws.Taken(err):
		return
	}
	if out, err := w.head(ctx, *in.Key); err == nil && *out.ETag == etag { // else a newer one lies there already
		w.alters.Store(!w.meta.Same(out.Metadata))
	}
	w.proven.Store(!w.writer.NoConditions())
}

func (b *bucket) head(ctx context.Context, key string) (*sdk.HeadObjectOutput, error) {
	return aws.Head(ctx, b.client, &sdk.HeadObjectInput{Bucket: b.common.Bucket, Key: &key, ExpectedBucketOwner: b.common.ExpectedBucketOwner})
}

// refused makes a classified error of what a put ended with; nil of nil. taken
// says that S3 has told us that the key is taken, so that we may store others: a
// refusal is about the one object that lies there, and must not hold the
// destination.
func (b *bucket) refused(key string, taken bool, err error) error {
	if err == nil || status(err) != http.StatusForbidden || !denied[aws.Code(err)] {
		return b.fault(putting, key, err)
	}
	switch {
	case locked(b.said(key, err)):
		return b.session.Fail(destination.Rejected, "replace "+key+" (Object Lock keeps the older version until its retention ends)", err)
	case taken:
		return b.session.Fail(destination.Transient, "replace "+key+" (the object that lies there may not be replaced: see what Object Lock and the bucket's policy say of it)", err)
	}
	return b.fault(putting, key, err)
}

// denied are the codes of a missing right, rather than of who asks.
var denied = map[string]bool{"": true, "AccessDenied": true, "Forbidden": true, "ObjectLocked": true, "InvalidObjectState": true}

// locked tells whether a refusal is about Object Lock, for which S3 has no code, by
// what the service said.
func locked(message string) bool {
	message = strings.ToLower(message)
	for _, word := range [...]string{"object lock", "objectlock", "worm", "retention", "legal hold"} {
		if strings.Contains(message, word) {
			return true
		}
	}
	return false
}
