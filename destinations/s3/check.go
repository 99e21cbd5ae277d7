package s3

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Check asks for the two rights that Send uses. Whether puts are allowed shows
// in one that cannot succeed: its checksums are of another body, which a service
// finds out only when it has judged everything else, and read the body. So it
// is refused as corrupt, and nothing is written. Whether reading is allowed
// shows in the answer for an object that is not there: that it is not there may
// be known only to who may read it.
func (b *bucket) Check(ctx context.Context) error {
	ctx, _ = b.session.Begin(ctx)
	key := b.probeKey()
	unconditional, err := b.mayPut(ctx, key)
	switch {
	case err != nil:
		return err
	case unconditional && b.strict:
		return destination.Misconfigure(errUnconditional)
	case unconditional:
		return destination.Remark("the service knows no conditional writes: in a race, older events may replace newer ones")
	}
	_, err = b.head(ctx, key)
	switch status(err) {
	case http.StatusNotFound:
		return nil
	case http.StatusForbidden:
		if b.strict {
			return destination.Misconfigure(fmt.Errorf("stale: fail needs to read what it would replace: %s", b.readAdvice()))
		}
		return destination.Remark("it cannot be seen whether reading is allowed; if it is not, a retry may replace newer and unrelated objects: " + b.readAdvice())
	}
	return b.fault(reading, key, err)
}

func (b *bucket) readAdvice() string {
	return fmt.Sprintf("grant s3:GetObject on arn:aws:s3:::%[1]s/*, and s3:ListBucket on arn:aws:s3:::%[1]s so that this check can tell", *b.common.Bucket)
}

// Digests of another body than the probe's: of none.
var (
	wrongMD5    = "1B2M2Y8AsgTpgAmY7PhCfg=="
	wrongSHA256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
)

// corrupt are the codes of a body that is not what its checksum says.
var corrupt = map[string]bool{"BadDigest": true, "InvalidDigest": true, "XAmzContentChecksumMismatch": true, "XAmzContentSHA256Mismatch": true}

// mayPut makes a put that cannot succeed. It tells whether the service knows no
// conditions.
func (b *bucket) mayPut(ctx context.Context, key string) (unconditional bool, err error) {
	for _, condition := range []*string{ptr("*"), nil} {
		in := b.common
		in.Key, in.IfNoneMatch = &key, condition
		in.Body = strings.NewReader("{}")
		in.ContentMD5, in.ChecksumSHA256 = &wrongMD5, &wrongSHA256
		_, err := b.client.PutObject(ctx, &in)
		switch answered, code := status(err), aws.Code(err); {
		case err == nil:
			return false, b.clean(ctx, key)
		case answered == http.StatusPreconditionFailed, answered == http.StatusBadRequest && corrupt[code]:
			return condition == nil, nil
		case answered == http.StatusNotImplemented && condition != nil:
			continue // without one it may be better
		default:
			return false, b.fault(putting, key, err)
		}
	}
	return false, nil // cannot be reached
}

// clean removes the probe where the service believes any checksum.
func (b *bucket) clean(ctx context.Context, key string) error {
	_, err := b.client.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: b.common.Bucket, Key: &key, ExpectedBucketOwner: b.common.ExpectedBucketOwner})
	if err != nil {
		return b.session.Classify("remove "+key+", which the check left because the service compares no checksums: please do it", err)
	}
	return nil
}

// probeKey is a name that deliveries could have, for the sake of policies, but
// never do: it has no time and no id.
func (b *bucket) probeKey() string { return b.folder + "fantail-check.json" }

// fixedFolder is the part of a layout that all keys have, up to a slash.
func fixedFolder(layout string) string {
	fixed, _, _ := strings.Cut(layout, "{")
	return fixed[:strings.LastIndexByte(fixed, '/')+1]
}
