package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

// ClientName is the common name of the client certificate; PostgreSQL lets the
// role of this name log in with it and nothing else.
const ClientName = "fantail_cert"

// TLS is what a client needs, in PEM.
type TLS struct {
	CA                    []byte // signed the server's certificate, for 127.0.0.1 and localhost
	ClientCert, ClientKey []byte // of ClientName, signed by CA
}

type certificates struct {
	TLS
	serverCert, serverKey []byte
}

// newCertificates makes an authority for one server and one client. The certificates last a day.
func newCertificates() (*certificates, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	issue := func(serial int64, name string, usage x509.ExtKeyUsage) (cert, key []byte, err error) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
			DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		}, ca, k.Public(), caKey)
		if err != nil {
			return nil, nil, err
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(k)
		return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER), err
	}
	c := &certificates{TLS: TLS{CA: encode("CERTIFICATE", caDER)}}
	var err1, err2 error
	c.serverCert, c.serverKey, err1 = issue(2, "localhost", x509.ExtKeyUsageServerAuth)
	c.ClientCert, c.ClientKey, err2 = issue(3, ClientName, x509.ExtKeyUsageClientAuth)
	return c, errors.Join(err1, err2)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

type certFiles struct{ ca, cert, key string }

// write writes the files that the server reads to dir. PostgreSQL insists that nobody else can read
// the key. When the tests run as root, the server runs as nobody, who then owns it.
func (c *certificates) write(dir string) (certFiles, error) {
	f := certFiles{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")}
	err := errors.Join(
		os.WriteFile(f.ca, c.CA, 0o644),
		os.WriteFile(f.cert, c.serverCert, 0o644),
		os.WriteFile(f.key, c.serverKey, 0o600))
	if err != nil || os.Geteuid() != 0 {
		return f, err
	}
	uid, gid, err := nobody()
	if err != nil {
		return f, err
	}
	return f, os.Chown(f.key, uid, gid)
}

// nobody is the user that servers run as when they refuse to run as root.
func nobody() (uid, gid int, err error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return 0, 0, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err1, err2)
}

// Identity is a certificate of a server, for 127.0.0.1 and localhost, and who
// signed it, in PEM.
type Identity struct{ CA, Cert, Key []byte }

// NewIdentity makes an authority with one server. The certificates last a day.
func NewIdentity() (Identity, error) {
	c, err := newCertificates()
	if err != nil {
		return Identity{}, err
	}
	return Identity{c.CA, c.serverCert, c.serverKey}, nil
}
