// Package clienttls reads the certificates and the key of a developer's settings.
package clienttls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// Fill gives cfg the authorities to trust, ca, and the client certificate, cert
// with its key: the text of PEM files, each of which may be left out. It returns
// every fault, which begins with the path of its setting and shows nothing of the
// text. Keys are measured before anything is calculated with them.
func Fill(cfg *tls.Config, ca, cert, key secret.Value) (faults []error) {
	at := func(path, text string) { faults = append(faults, errors.New("tls."+path+": "+text)) }
	if !ca.IsZero() {
		pool, err := trust(ca.Reveal())
		if err != nil {
			at("ca", err.Error())
		}
		cfg.RootCAs = pool
	}
	switch {
	case cert.IsZero() && key.IsZero():
	case key.IsZero():
		at("key", "is required with tls.cert")
	case cert.IsZero():
		at("cert", "is required with tls.key")
	default:
		if err := measure(key.Reveal()); err != nil {
			at("key", err.Error())
			return faults
		}
		pair, err := tls.X509KeyPair([]byte(cert.Reveal()), []byte(key.Reveal()))
		if err != nil {
			// The library's text is about the form of the PEM, not its content,
			// but nobody promises that.
			at("cert", "is no certificate in PEM form, or tls.key is not its key")
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return faults
}

// trust is x509.CertPool.AppendCertsFromPEM that measures keys: the signatures of
// what a server shows are verified with them.
func trust(text string) (*x509.CertPool, error) {
	pool, some := x509.NewCertPool(), false
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		if err := signature.CheckPublicKey(cert.PublicKey); err != nil {
			return pool, fmt.Errorf("the key of a certificate %w", err)
		}
		pool.AddCert(cert)
		some = true
	}
	if !some {
		return pool, errors.New("holds no certificate in PEM form")
	}
	return pool, nil
}

// measure refuses keys that are too large, whichever of the text is taken.
func measure(text string) error {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			if err := signature.CheckPrivateKey(block.Bytes); err != nil {
				return err
			}
		}
	}
	return nil
}
