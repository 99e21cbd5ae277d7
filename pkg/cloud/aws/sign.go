package aws

import (
	"context"
	"encoding/hex"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// SHA256 signs the request of one call with the digest of its body, which the
// caller knows already. Without it the SDK would read the body once more or,
// over https, leave the body out of the signature.
func SHA256(sum [32]byte) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			_, err := stack.Finalize.Swap((*v4.ComputePayloadSHA256)(nil).ID(), &payloadHash{hex.EncodeToString(sum[:])})
			return err
		})
	}
}

type payloadHash struct{ hex string }

func (*payloadHash) ID() string { return (*v4.ComputePayloadSHA256)(nil).ID() }

func (h *payloadHash) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	return next.HandleFinalize(v4.SetPayloadHash(ctx, h.hex), in)
}
