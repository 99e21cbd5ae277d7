package signature

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"
)

// numbers is the PKCS #1 form of a key whose numbers have as many bits as given.
func numbers(t *testing.T, n, d, p int) []byte {
	t.Helper()
	of := func(bits int) *big.Int { return new(big.Int).SetBit(big.NewInt(1), bits-1, 1) }
	der, err := asn1.Marshal(struct {
		Version          int
		N                *big.Int
		E                int
		D, P, Q, A, B, C *big.Int
	}{0, of(n), 65537, of(d), of(p), of(p), of(p), of(p), of(p)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// wrapped is the PKCS #8 form.
func wrapped(t *testing.T, der []byte) []byte {
	t.Helper()
	out, err := asn1.Marshal(struct {
		Version   int
		Algorithm struct {
			OID  asn1.ObjectIdentifier
			Null asn1.RawValue
		}
		Key []byte
	}{Algorithm: struct {
		OID  asn1.ObjectIdentifier
		Null asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, asn1.NullRawValue}, Key: der})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLargePrivateKeysAreRefusedAtOnce(t *testing.T) {
	for _, c := range []struct {
		n, d, p int
		want    string
	}{
		{2048, 2048, 1024, ""}, {8192, 8192, 4096, ""},
		{8193, 8193, 4096, "8193 bits: at most 8192"}, {1 << 16, 1 << 16, 1 << 15, "65536 bits"}, {1 << 22, 1 << 22, 1 << 21, "4194304 bits"},
		{2048, 1 << 16, 1024, "65536 bits"}, {2048, 2048, 1 << 16, "65536 bits"},
	} {
		der := numbers(t, c.n, c.d, c.p)
		for form, der := range map[string][]byte{"PKCS #1": der, "PKCS #8": wrapped(t, der)} {
			began := time.Now()
			err := CheckPrivateKey(der)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%v in %s took %v", c, form, took)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v in %s: %v", c, form, err)
			}
		}
	}
}

// Numbers behind those that are looked at: the primes of keys with more than two.
func TestLongPrivateKeysAreRefused(t *testing.T) {
	der, err := asn1.Marshal(struct {
		Version             int
		N, E, D, P, Q, A, B *big.Int
		C                   *big.Int
		More                []byte
	}{0, big.NewInt(9), big.NewInt(9), big.NewInt(9), big.NewInt(9), big.NewInt(9), big.NewInt(9), big.NewInt(9), big.NewInt(9), make([]byte, 9000)})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckPrivateKey(der); err == nil || !strings.Contains(err.Error(), "takes no more than 8192") {
		t.Errorf("%v", err)
	}
}

// What crypto/x509 reads is seen, in each of its forms.
func TestOtherPrivateKeysPass(t *testing.T) {
	real, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{nil, []byte("no key"), x509.MarshalPKCS1PrivateKey(real)}
	sec1, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	keys = append(keys, sec1)
	for _, key := range []any{real, curve, edwards} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, der)
	}
	for i, der := range keys {
		if err := CheckPrivateKey(der); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	for _, key := range []any{real.Public(), curve.Public(), edwards.Public(), nil} {
		if err := CheckPublicKey(key); err != nil {
			t.Errorf("%T: %v", key, err)
		}
	}
	if err := CheckPublicKey(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), MaxRSABits), E: 3}); err == nil {
		t.Error("a public key of 8193 bits passes")
	}
}
