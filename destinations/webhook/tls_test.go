package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	hmacKey    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	ed25519Key = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
)

// clientCertificate makes a certificate and its key, in PEM form.
func clientCertificate(tb testing.TB) (cert, key secret.Value) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7),
		Subject:      pkix.Name{CommonName: "fantail"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	text := func(kind string, der []byte) secret.Value {
		return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", keyDER)
}

func TestHTTPSShowsTheClientCertificate(t *testing.T) {
	r := newReceiver(t, true)
	r.config = func(c *Config) { c.TLS.Cert, c.TLS.Key = clientCertificate(t) }
	d := opened(t, r)
	if shown := d.Certificates(); len(shown) != 1 || shown[0].Subject.CommonName != "fantail" {
		t.Errorf("a check is told of %v", shown)
	}
	if shown := opened(t, newReceiver(t, false)).Certificates(); len(shown) != 0 {
		t.Errorf("without one a check is told of %v", shown)
	}
	receipt, err := d.Send(t.Context(), delivery(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Code != 200 || receipt.Answer != "ok" || receipt.Address != r.Listener.Addr().String() {
		t.Errorf("the receipt is %+v", receipt)
	}
	req, _ := r.last(t)
	if req.ProtoMajor != 1 {
		t.Errorf("it arrived by %s, want HTTP/1.1 although HTTP/2 is on offer", req.Proto)
	}
	if len(req.TLS.PeerCertificates) != 1 || req.TLS.PeerCertificates[0].Subject.CommonName != "fantail" {
		t.Errorf("the client showed %v", req.TLS.PeerCertificates)
	}
	if req.TLS.ServerName != "example.com" {
		t.Errorf("the client asked for %q, want server_name", req.TLS.ServerName)
	}
}

// TestTLSFaultsAreTransient: certificates expire and are renewed.
func TestTLSFaultsAreTransient(t *testing.T) {
	other, _ := clientCertificate(t)
	for _, c := range []struct {
		name   string
		config func(*Config)
		want   string
	}{
		{"authority unknown to the system", func(c *Config) { c.TLS = TLS{} }, "certificate signed by unknown authority"},
		{"authority other than the setting's", func(c *Config) { c.TLS.CA = other }, "certificate signed by unknown authority"},
		{"certificate of another name", func(c *Config) { c.TLS.ServerName = "acme.test" }, "not acme.test"},
		{"http spoken to https", func(c *Config) {
			c.TLS = TLS{}
			c.URL = strings.Replace(c.URL, "https", "http", 1)
		}, "answered 400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReceiver(t, true)
			r.config = c.config
			_, err := opened(t, r).Send(t.Context(), delivery(t, 1))
			wantTransient(t, err, c.want)
			if r.count(t) > 0 {
				t.Error("the request arrived all the same")
			}
		})
	}
	t.Run("https spoken to http", func(t *testing.T) {
		r := newReceiver(t, false)
		r.config = func(c *Config) { c.URL = strings.Replace(c.URL, "http", "https", 1) }
		_, err := opened(t, r).Send(t.Context(), delivery(t, 1))
		wantTransient(t, err, "does not look like a TLS handshake")
	})
}

func wantTransient(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("it succeeded")
	}
	if class, _ := destination.ClassOf(err); class != destination.Transient {
		t.Errorf("%v is %v, want transient", err, class)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q does not say %q", err, p)
		}
	}
	for _, s := range []string{testSecret, testToken, testHeader, testPassword, testQuery, "/hook"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%q shows %q", err, s)
		}
	}
}

// TestConnectionsAreKept: one connection carries all sends in a row, whatever
// the answers are.
func TestConnectionsAreKept(t *testing.T) {
	for _, secure := range []bool{false, true} {
		r := newReceiver(t, secure)
		w := opened(t, r)
		var made int
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if !i.Reused {
				made++
			}
		}})
		for i, broken := range []string{"", "500", "500 with 5 KiB", "404", "302 to metadata", "429 waits", "", "500 with an echo", ""} {
			r.set(broken)
			_, err := w.Send(ctx, delivery(t, i))
			if (err == nil) != (broken == "") {
				t.Errorf("%q: %v", broken, err)
			}
		}
		if made != 1 {
			t.Errorf("secure %v: %d connections, want 1", secure, made)
		}
	}
}

// TestCloseEndsOwnConnectionsOnly, whether its TLS settings are its own or not.
func TestCloseEndsOwnConnectionsOnly(t *testing.T) {
	for _, secure := range []bool{false, true} {
		r := newReceiver(t, secure)
		deps := plainDeps(t)
		first, second := r.Open(t, deps), r.Open(t, deps)
		for _, d := range []destination.Destination{first, second} {
			if _, err := d.Send(t.Context(), delivery(t, 1)); err != nil {
				t.Fatal(err)
			}
		}
		first.Close()
		select {
		case <-r.ended:
		case <-time.After(time.Minute):
			t.Error("its own connection outlives the webhook")
		}
		var reused bool
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		if _, err := second.Send(ctx, delivery(t, 2)); err != nil || !reused {
			t.Errorf("secure %v: after the other was closed: reused %v, %v", secure, reused, err)
		}
		second.Close()
	}
}
