package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// certificate writes a self-signed certificate with that serial number.
func (h *home) certificate(serial int64) {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true} // its own authority, as OpenSSL wants one that it is told to trust
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("api.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	h.write("api.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// serial is the serial number of the certificate that the API shows.
func (d *daemon) serial(t *testing.T) int64 {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // the test looks at it itself
	c, err := dialer.DialContext(t.Context(), "tcp", d.app.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// A renewed certificate is used after a reload; a broken one changes nothing.
func TestReloadTakesARenewedCertificate(t *testing.T) {
	h := newHome(t)
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
tls: { cert: api.crt, key: api.key }
store: { pebble: { dir: store } }
shutdown_grace: 2s
`)
	h.write("developers/acme.yaml", webhook("acme", "http://127.0.0.1:9/", "a-secret-of-acme", ""))
	h.certificate(1)
	d := h.start()
	if n := d.serial(t); n != 1 {
		t.Errorf("the API shows certificate %d, want 1", n)
	}
	h.certificate(2)
	if _, err := d.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := d.serial(t); n != 2 {
		t.Errorf("after a reload the API shows certificate %d, want 2", n)
	}
	h.write("api.crt", "broken")
	if _, err := d.app.Reload(t.Context()); err == nil {
		t.Error("a reload with a broken certificate succeeded")
	}
	if n := d.serial(t); n != 2 {
		t.Errorf("after a refused reload the API shows certificate %d, want 2", n)
	}
}
