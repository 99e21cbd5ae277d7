package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func check(t *testing.T, d destination.Destination) error {
	t.Helper()
	return d.(destination.Checker).Check(t.Context())
}

// TestCheckSendsNothing: a receiver could take any request for an event.
func TestCheckSendsNothing(t *testing.T) {
	for _, secure := range []bool{false, true} {
		r := newReceiver(t, secure)
		if err := check(t, opened(t, r)); err != nil {
			t.Errorf("secure %v: %v", secure, err)
		}
		if n := r.count(t); n > 0 {
			t.Errorf("secure %v: %d requests arrived", secure, n)
		}
	}
}

// TestCheckFindsWhatDeliveriesMeet: and says it in the same words.
func TestCheckFindsWhatDeliveriesMeet(t *testing.T) {
	other, _ := clientCertificate(t)
	for _, c := range []struct {
		name   string
		config func(*Config)
		want   string
	}{
		{"authority unknown to the system", func(c *Config) { c.TLS = TLS{} }, "certificate signed by unknown authority"},
		{"authority other than the setting's", func(c *Config) { c.TLS.CA = other }, "certificate signed by unknown authority"},
		{"certificate of another name", func(c *Config) { c.TLS.ServerName = "acme.test" }, "not acme.test"},
		{"nobody there", func(c *Config) { c.URL = "https://127.0.0.1:1/" }, "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReceiver(t, true)
			r.config = c.config
			d := opened(t, r)
			err := check(t, d)
			wantTransient(t, err, c.want)
			if _, sent := d.Send(t.Context(), delivery(t, 1)); sent == nil || sent.Error() != err.Error() {
				t.Errorf("a delivery says %v, the check %v", sent, err)
			}
		})
	}
	t.Run("https spoken to http", func(t *testing.T) {
		r := newReceiver(t, false)
		r.config = func(c *Config) { c.URL = strings.Replace(c.URL, "http", "https", 1) }
		wantTransient(t, check(t, opened(t, r)), "does not look like a TLS handshake")
	})
}

// TestHostInAnotherScript: check and delivery reach it.
func TestHostInAnotherScript(t *testing.T) {
	for _, secure := range []bool{false, true} {
		r := newReceiver(t, secure)
		r.config = func(c *Config) { c.URL = strings.Replace(c.URL, "127", "\uff11\uff12\uff17", 1) }
		d := opened(t, r)
		if err := check(t, d); err != nil {
			t.Errorf("secure %v: %v", secure, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := d.Send(ctx, delivery(t, 1)); err != nil {
			t.Errorf("secure %v: a delivery: %v", secure, err)
		}
	}
	for text, want := range map[string]string{
		"https://B\u00fccher.example:8443/": "xn--bcher-kva.example:8443", "https://Acme_1.example/": "Acme_1.example", "https://[2606:4700::1111]/": "[2606:4700::1111]",
	} {
		if u, err := parseURL(text, false); err != nil || u.Host != want {
			t.Errorf("%s: %v, %v; want %s", text, u, err, want)
		}
	}
}

// TestCheckTellsTheTraceOfTheCertificate: who checks wants to know how long it lasts.
func TestCheckTellsTheTraceOfTheCertificate(t *testing.T) {
	r := newReceiver(t, true)
	var state tls.ConnectionState
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		TLSHandshakeDone: func(s tls.ConnectionState, err error) { state = s },
	})
	if err := opened(t, r).Check(ctx); err != nil {
		t.Fatal(err)
	}
	if len(state.VerifiedChains) == 0 || !state.PeerCertificates[0].Equal(r.Certificate()) {
		t.Errorf("the trace saw %d chains", len(state.VerifiedChains))
	}
}

// mutual is a TLS server that wants a client's certificate signed by ca, and says nothing.
func mutual(t *testing.T, version uint16, auth tls.ClientAuthType) (url string, server *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if server, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(server) // trusts nobody that a test makes
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   auth, ClientCAs: pool, MinVersion: version, MaxVersion: version,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1)) // until the client hangs up
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return "https://" + l.Addr().String() + "/", server
}

// TestCheckSeesThatTheClientsCertificateIsRefused: with TLS 1.3 the client
// learns of it after its own handshake has ended well.
func TestCheckSeesThatTheClientsCertificateIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		version uint16
		auth    tls.ClientAuthType
		want    string // "": all is well
	}{
		"1.2 required": {tls.VersionTLS12, tls.RequireAndVerifyClientCert, "remote error: tls:"},
		"1.3 required": {tls.VersionTLS13, tls.RequireAndVerifyClientCert, "remote error: tls:"},
		"1.3 asked":    {tls.VersionTLS13, tls.RequestClientCert, ""},
	} {
		t.Run(name, func(t *testing.T) {
			url, server := mutual(t, c.version, c.auth)
			config := defaults()
			config.URL, config.Secret = url, secret.New(testSecret)
			config.TLS.CA = secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Raw})))
			config.TLS.Cert, config.TLS.Key = clientCertificate(t)
			d, err := open(config, plainDeps(t))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			err = check(t, d)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantTransient(t, err, c.want)
		})
	}
}
