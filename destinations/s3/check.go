package s3

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/cloud/probe"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Check stores a probe as Send stores objects, sees that it comes back, byte for
// byte, and removes it: a far side that says yes to everything shows only by what
// it returns. What the credentials do not permit is said.
func (b *bucket) Check(ctx context.Context) error {
	ctx, _ = b.session.Begin(ctx)
	key := b.folder + probe.Name
	in := b.common
	in.Key, in.ContentEncoding, in.Metadata = &key, nil, probeMeta
	judged := false // the metadata, which is all that deliveries read, may be seen
	seen, looking, err := aws.Probe{Client: b.client, Writer: b.writer, In: in, Get: func(ctx context.Context) (aws.Found, error) {
		found, err := aws.Read(ctx, b.client, &sdk.GetObjectInput{Bucket: b.common.Bucket, Key: &key, ExpectedBucketOwner: b.common.ExpectedBucketOwner})
		if status(err) == http.StatusForbidden {
			_, denied := b.head(ctx, key)
			judged = denied == nil
		}
		return found, err
	}}.Run(ctx)
	switch {
	case err != nil && looking:
		return b.fault(reading, key, err)
	case err != nil:
		return b.fault(putting, key, err)
	case seen.Unconditional && b.strict:
		return destination.Misconfigure(objectkey.ErrUnconditional)
	case seen.Altering && b.strict:
		return destination.Misconfigure(fmt.Errorf("stale: fail needs to see what it would replace: %w", errAlters))
	case seen.Unreadable != nil && !judged && b.strict:
		return destination.Misconfigure(fmt.Errorf("stale: fail needs to read what it would replace: %w", b.fault(reading, key, seen.Unreadable)))
	}
	return b.remarks(key, seen, judged)
}

// probeMeta is written as that of objects is: lower-case names, percent-encoded values.
var probeMeta = map[string]string{objectkey.MetaType: "fantail-check", objectkey.MetaReference: "Fantail%20%C3%BC%2F"}

// remarks says what is not in the way of deliveries, but should be known.
func (b *bucket) remarks(key string, seen aws.Seen, judged bool) error {
	resource := "arn:aws:s3:::" + *b.common.Bucket + "/"
	var all []string
	remark := func(is bool, text string) {
		if is {
			all = append(all, text)
		}
	}
	remark(seen.Unconditional, "the service knows no conditional writes, or ignores them: in a race, older events may replace newer ones. It is asked anew after an hour")
	remark(seen.Altering, errAlters.Error()+": a later version of an item, or another item of that second, lands under a second key, with the item's suffix, "+
		"and there an older version may replace a newer one. Use another service for one key an item, or {id} in layout for one key an event")
	remark(seen.Unreadable != nil && judged, "what is stored cannot be read back, only its metadata, so that it cannot be seen whether it comes back: "+
		"kms:Decrypt on the encryption key lets this check; deliveries do not need it")
	remark(seen.Unreadable != nil && !judged, "reading is denied, so that it cannot be seen whether what is stored comes back, nor what has a key: a later version of an item, "+
		"or another item of that second, lands under a second key, with the item's suffix, and there an older version may replace a newer one. Grant s3:GetObject on "+resource+"* for one key an item")
	remark(b.writer.NoChecksums(), "the service refuses x-amz-checksum-sha256: objects are stored without, and it is asked anew after an hour")
	remark(seen.Unremovable, "the check leaves "+key+" in the bucket: grant s3:DeleteObject on "+resource+key+
		", in a bucket with versions also s3:DeleteObjectVersion, and it is removed; nothing else is ever deleted")
	if len(all) == 0 {
		return nil
	}
	return destination.Remark(strings.Join(all, ". "))
}
