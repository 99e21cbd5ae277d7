// Package s3 stores events as objects in a bucket of Amazon S3, or of what
// speaks its protocol.
package s3

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"sync/atomic"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var (
	_ destination.Destination = (*bucket)(nil)
	_ destination.Checker     = (*bucket)(nil)
	_ destination.Explainer   = (*bucket)(nil)
)

type bucket struct {
	session   *aws.Session
	client    *sdk.Client
	writer    *aws.Writer
	layout    *objectkey.Layout
	catalogue *event.Catalogue
	common    sdk.PutObjectInput // what all puts have in common
	region    string
	folder    string // of all keys, with a slash at its end
	strict    bool   // stale: fail
	zip       *objectkey.Zipper

	// What the service has shown since it was opened: see prove.
	proving atomic.Bool // this is being found out
	proven  atomic.Bool // it heeds conditions
	alters  atomic.Bool // it loses or alters metadata
}

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	layout, err := c.Keys.Compile()
	if err != nil {
		return nil, err
	}
	session, err := aws.Open(c.Account, deps)
	if err != nil {
		return nil, err
	}
	client := session.S3(c.PathStyle)
	b := &bucket{
		session: session, client: client, writer: aws.NewWriter(client), layout: layout, catalogue: deps.Catalogue,
		common: common(c), region: session.Config.Region, folder: c.Keys.Folder(), strict: c.Keys.Strict(),
	}
	if b.catalogue == nil {
		b.catalogue = event.DefaultCatalogue()
	}
	if c.Keys.Gzip {
		b.zip = &objectkey.Zipper{}
	}
	return b, nil
}

func common(c Config) sdk.PutObjectInput {
	in := sdk.PutObjectInput{
		Bucket: &c.Bucket, ContentType: ptr("application/json"),
		StorageClass: types.StorageClass(c.StorageClass), ACL: types.ObjectCannedACL(c.ACL),
		ExpectedBucketOwner: optional(c.ExpectedBucketOwner),
	}
	if c.Keys.Gzip {
		in.ContentEncoding = ptr("gzip")
	}
	switch c.SSE {
	case sseS3:
		in.ServerSideEncryption = types.ServerSideEncryptionAes256
	case sseKMS:
		in.ServerSideEncryption = types.ServerSideEncryptionAwsKms
		in.SSEKMSKeyId = optional(c.KMSKeyID)
		in.BucketKeyEnabled = ptr(true) // a call of KMS per bucket and hour instead of per object
	}
	return in
}

// Send stores every payload of the event. What is there already of this event
// counts as done, so that a large one makes progress over attempts.
func (b *bucket) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	ctx, call := b.session.Begin(ctx)
	done, err := objectkey.PlaceAll(ctx, b.objects(d.Event), func(o objectkey.Object) (r destination.Receipt, how objectkey.Outcome, err error) {
		w, err := b.write(o)
		if err == nil {
			how, err = objectkey.Place(ctx, w, o, b.strict)
		}
		return r, how, err
	})
	r := call.Receipt(err)
	r.Unguarded = done.Unguarded
	if err == nil {
		r.Answer = done.Answer
	}
	return r, err
}

func (b *bucket) objects(e *event.Event) iter.Seq[objectkey.Object] {
	return b.layout.Objects(b.catalogue, e)
}

// Explain shows the first object that Send would store.
func (b *bucket) Explain(d destination.Delivery) (destination.Explanation, error) {
	var o objectkey.Object
	n := 0
	for first := range b.objects(d.Event) {
		if n++; n == 1 {
			o = first
		}
	}
	h := http.Header{"Content-Type": {*b.common.ContentType}}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	if b.zip != nil {
		set("Content-Encoding", "gzip")
	}
	set("X-Amz-Storage-Class", string(b.common.StorageClass))
	set("X-Amz-Acl", string(b.common.ACL))
	set("X-Amz-Server-Side-Encryption", string(b.common.ServerSideEncryption))
	for name, value := range o.Meta {
		set("X-Amz-Meta-"+name, value)
	}
	target := b.String()
	if n > 1 {
		target += fmt.Sprintf(", the first of %d objects", n)
	}
	return destination.Explanation{Target: target, Headers: h, Key: o.Keys[0], Body: string(o.Body)}, nil
}

// String and GoString keep credentials out of every print of a bucket.
func (b *bucket) String() string   { return "bucket " + *b.common.Bucket + " at " + b.session.String() }
func (b *bucket) GoString() string { return b.String() }

// Close ends what fetches credentials. The connections are the engine's.
func (b *bucket) Close() error { return b.session.Close() }

func ptr[T any](v T) *T { return &v }

// optional returns nil of an empty text, which the SDK would send.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
