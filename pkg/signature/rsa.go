package signature

import (
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// MaxRSABits is the size of the largest RSA key that is worked with, as it is in
// crypto/tls for the keys of the far side. A signature with 65,536 bits takes a
// minute of a processor, which no context stops.
const MaxRSABits = 8192

// maxPrivateKey is more than the numbers of a private key of MaxRSABits take in
// DER, 5 KiB, and bounds those that are not looked at one by one.
const maxPrivateKey = 8 << 10

// CheckPrivateKey refuses a private key of RSA above MaxRSABits without
// calculating anything with it: reading one with crypto/x509 does. der is of PKCS
// #1 or #8; of other keys, and of what is no key at all, it says nothing.
func CheckPrivateKey(der []byte) error {
	var wrapped struct {
		Version   int
		Algorithm asn1.RawValue
		Key       []byte
	}
	inner := der
	if _, err := asn1.Unmarshal(der, &wrapped); err == nil {
		inner = wrapped.Key
	}
	var key struct { // what follows is left alone
		Version             int
		N                   *big.Int
		E                   *big.Int
		D, P, Q, Dp, Dq, Qi *big.Int `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(inner, &key); err != nil {
		return nil
	}
	bits := 0
	for _, number := range []*big.Int{key.N, key.D, key.P, key.Q, key.Dp, key.Dq, key.Qi} {
		if number != nil {
			bits = max(bits, number.BitLen())
		}
	}
	if bits <= MaxRSABits && len(der) > maxPrivateKey {
		return fmt.Errorf("is a key of %d bytes: an RSA key of at most %d bits takes no more than %d", len(der), MaxRSABits, maxPrivateKey)
	}
	return checkBits(bits)
}

// CheckPublicKey refuses a public key of RSA above MaxRSABits; all others pass.
func CheckPublicKey(key any) error {
	if k, ok := key.(*rsa.PublicKey); ok {
		return checkBits(k.N.BitLen())
	}
	return nil
}

func checkBits(n int) error {
	if n > MaxRSABits {
		return fmt.Errorf("is an RSA key of %d bits: at most %d are taken", n, MaxRSABits)
	}
	return nil
}
