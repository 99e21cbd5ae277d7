package clienttls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func text(kind string, der []byte) secret.Value {
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// certificate is one of a public key, signed by another key.
func certificate(t *testing.T, public any) secret.Value {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if public == nil {
		public = key.Public()
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return text("CERTIFICATE", der)
}

func large(bits int) *big.Int { return new(big.Int).SetBit(big.NewInt(1), bits-1, 1) }

func privateKey(t *testing.T, bits int) secret.Value {
	t.Helper()
	half := large(bits / 2)
	der, err := asn1.Marshal(struct {
		Version          int
		N                *big.Int
		E                int
		D, P, Q, A, B, C *big.Int
	}{0, large(bits), 65537, large(bits), half, half, half, half, half})
	if err != nil {
		t.Fatal(err)
	}
	return text("RSA PRIVATE KEY", der)
}

func TestFaults(t *testing.T) {
	small := certificate(t, nil)
	for name, c := range map[string]struct {
		ca, cert, key secret.Value
		want          string
	}{
		"nothing":                {},
		"an authority":           {ca: small},
		"no authority":           {ca: secret.New("hunter2"), want: "tls.ca: holds no certificate in PEM form"},
		"another block":          {ca: privateKey(t, 2048), want: "tls.ca: holds no certificate in PEM form"},
		"a large authority":      {ca: secret.New(small.Reveal() + certificate(t, &rsa.PublicKey{N: large(1 << 16), E: 3}).Reveal()), want: "tls.ca: the key of a certificate is an RSA key of 65536 bits: at most 8192 are taken"},
		"an authority of 8192":   {ca: certificate(t, &rsa.PublicKey{N: large(8192), E: 3})},
		"a certificate alone":    {cert: small, want: "tls.key: is required with tls.cert"},
		"a key alone":            {key: privateKey(t, 2048), want: "tls.cert: is required with tls.key"},
		"no pair":                {cert: small, key: privateKey(t, 2048), want: "tls.cert: is no certificate in PEM form, or tls.key is not its key"},
		"a large key":            {cert: small, key: privateKey(t, 1<<16), want: "tls.key: is an RSA key of 65536 bits: at most 8192 are taken"},
		"a large one that waits": {cert: small, key: secret.New(certificate(t, nil).Reveal() + privateKey(t, 1<<14).Reveal()), want: "tls.key: is an RSA key of 16384 bits: at most 8192 are taken"},
	} {
		got := ""
		if err := errors.Join(Fill(&tls.Config{}, c.ca, c.cert, c.key)...); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestPairAndAuthoritiesAreUsed(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := text("CERTIFICATE", der)
	cfg := &tls.Config{}
	if faults := Fill(cfg, cert, cert, text("PRIVATE KEY", pkcs8)); len(faults) > 0 {
		t.Fatal(faults)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(cert.Reveal()))
	if len(cfg.Certificates) != 1 || !cfg.RootCAs.Equal(pool) {
		t.Errorf("%+v", cfg)
	}
}
