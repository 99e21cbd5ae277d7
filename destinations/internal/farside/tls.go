package farside

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/seed-51f8da91/fantail/destinations/internal/clienttls"
	"github.com/seed-51f8da91/fantail/pkg/endpoint"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// The modes of TLS, by the names that PostgreSQL has given them. Those that may
// end without encryption though it was asked for do not exist here.
const (
	Disable    = "disable"     // no TLS
	Require    = "require"     // encrypted, whoever answers
	VerifyCA   = "verify-ca"   // the certificate is signed by a trusted authority, for whomever
	VerifyFull = "verify-full" // and for the host
)

// TLS says how to connect. All but Mode and ServerName is the text of PEM files;
// they are secret.Value so that ${file:...} works for all of them.
type TLS struct {
	Mode       string       `yaml:"mode"`
	CA         secret.Value `yaml:"ca"` // trusted instead of the system's
	Cert       secret.Value `yaml:"cert"`
	Key        secret.Value `yaml:"key"`
	ServerName string       `yaml:"server_name"` // expected in the certificate instead of the host
}

// Config returns what crypto/tls needs to connect to host, nil for no TLS. It
// reports every fault, each beginning with the path of its setting.
func (t TLS) Config(host string) (*tls.Config, error) {
	var faults []error
	at := func(path, text string) { faults = append(faults, fmt.Errorf("tls.%s: %s", path, text)) }
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.ServerName != "" {
		var err error
		if cfg.ServerName, err = endpoint.Host(t.ServerName); err != nil {
			at("server_name", err.Error())
		}
	}
	switch t.Mode {
	case Disable:
		if !t.CA.IsZero() || !t.Cert.IsZero() || !t.Key.IsZero() || t.ServerName != "" {
			at("mode", "disable leaves the other settings of tls without meaning")
		}
	case Require:
		if !t.CA.IsZero() {
			at("mode", "require would not look at tls.ca: choose verify-full or verify-ca")
		}
		cfg.InsecureSkipVerify = true
	case VerifyCA:
		cfg.InsecureSkipVerify = true // of the name; the rest is verified here
		cfg.VerifyConnection = func(s tls.ConnectionState) error { return verify(s, cfg.RootCAs) }
	case VerifyFull:
	default:
		at("mode", "must be verify-full, verify-ca, require or disable")
	}
	faults = append(faults, clienttls.Fill(cfg, t.CA, t.Cert, t.Key)...)
	if t.Mode == Disable {
		cfg = nil
	}
	return cfg, errors.Join(faults...)
}

// verify does what crypto/tls does, but for the name.
func verify(s tls.ConnectionState, roots *x509.CertPool) error {
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := s.PeerCertificates[0].Verify(opts); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}
