package signature_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// The sender signs each attempt anew; a receiver verifies the body as it came,
// before it parses it.
func Example() {
	body := []byte(`{"type":"auth"}`)
	now := time.Unix(1782897153, 0)
	header := signature.Sign("a-secret-of-acme", now, body)
	fmt.Println(header)

	err := signature.Verify("a-secret-of-acme", header, body, now.Add(time.Minute), signature.Tolerance)
	fmt.Println(err)
	err = signature.Verify("a-secret-of-acme", header, []byte(`{"type":"deauth"}`), now, signature.Tolerance)
	fmt.Println(errors.Is(err, signature.ErrMismatch))
	err = signature.Verify("a-secret-of-acme", header, body, now.Add(time.Hour), signature.Tolerance)
	fmt.Println(errors.Is(err, signature.ErrTime))
	// Output:
	// t=1782897153,v1=109abf2535dd329d35754834812e546fd0c81d3564a9e9b383f53a9e9e61bf98
	// <nil>
	// true
	// true
}

// Standard Webhooks signs the id and the time with the body, and allows several keys.
func ExampleVerifyStandard() {
	key, err := signature.ParseSigningKey("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	if err != nil {
		fmt.Println(err)
		return
	}
	body, now := []byte(`{"type":"auth"}`), time.Unix(1782897153, 0)
	signatures := signature.SignStandard([]signature.SigningKey{key}, "msg-1", now, body)
	err = signature.VerifyStandard([]signature.VerifyingKey{key.Verifying()}, "msg-1", "1782897153", signatures, body, now, signature.Tolerance)
	fmt.Println(signatures, err)
	// Output:
	// v1,bFeP7fe+SzaAi9LTaSZVmaPnSMoln7n6nhsCWblRbIw= <nil>
}
