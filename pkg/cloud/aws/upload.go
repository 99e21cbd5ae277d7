package aws

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net/http"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// Upload makes the most of what the caller of one PutObject knows of its body:
// the SHA-256 signs the request, where the SDK would read the body once more or,
// over https, leave it out of the signature; and the bytes are sent from where
// they are.
func Upload(body []byte, sum [32]byte) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			u := &upload{body, hex.EncodeToString(sum[:])}
			_, err := stack.Finalize.Swap(u.ID(), u)
			return err
		})
	}
}

type upload struct {
	body []byte
	sum  string
}

func (*upload) ID() string { return (*v4.ComputePayloadSHA256)(nil).ID() }

func (u *upload) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	ctx = context.WithValue(v4.SetPayloadHash(ctx, u.sum), bodyKey{}, u.body)
	return next.HandleFinalize(ctx, in)
}

type bodyKey struct{}

// ownBody gives req its body as bytes instead of the SDK's stream. The SDK
// closes that as soon as the answer begins, which the transport may take for a
// failure to write it, so that it gives up the connection. And with GetBody
// net/http can begin anew on a fresh connection when a kept one turns out to be
// closed before anything was written.
func ownBody(req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	known, ok := req.Context().Value(bodyKey{}).([]byte)
	if !ok {
		var err error
		if known, err = io.ReadAll(req.Body); err != nil {
			return err
		}
	}
	if err := req.Body.Close(); err != nil {
		return err
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(known)), nil }
	req.Body, _ = req.GetBody()
	req.ContentLength = int64(len(known))
	return nil
}
