package gcptest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
)

// startTLS serves g as the hosts of Google, with a certificate of its own.
func startTLS(tb testing.TB, g http.Handler) *httptest.Server {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Google of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"*.googleapis.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	s := httptest.NewUnstartedServer(g)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients of other hosts that hang up
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s
}

// TLS returns the address of the server that speaks https, and how to trust it.
func (g *Google) TLS() (url string, trust *tls.Config) {
	pool := x509.NewCertPool()
	leaf, _ := x509.ParseCertificate(g.tls.TLS.Certificates[0].Certificate[0])
	pool.AddCert(leaf)
	return g.tls.URL, &tls.Config{RootCAs: pool}
}

// Deps lends what the engine would: connections to this server, to which every
// name below googleapis.com leads, and to nothing else. Metadata leads to the
// metadata service, and nothing but its address does.
func (g *Google) Deps(tb testing.TB) destination.Deps {
	tb.Helper()
	plain, secure := g.plain.Listener.Addr().String(), g.tls.Listener.Addr().String()
	_, trust := g.TLS()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		switch {
		case strings.HasSuffix(address, ".googleapis.com:443"):
			address = secure
		case address != plain && address != secure:
			return nil, destination.Misconfigure(fmt.Errorf("connections to %s are refused", address))
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	client := exchangetest.Client(tb, dial, trust)
	metadata := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "169.254.169.254:80" {
			return nil, destination.Misconfigure(fmt.Errorf("%s is not the metadata service", address))
		}
		return new(net.Dialer).DialContext(ctx, network, plain)
	}}
	tb.Cleanup(metadata.CloseIdleConnections)
	return destination.Deps{
		Exchange:  client,
		HTTP:      client.HTTP(),
		Metadata:  &http.Client{Transport: metadata},
		Dial:      dial,
		Brand:     "terra",
		UserAgent: "Fantail/test",
	}
}
