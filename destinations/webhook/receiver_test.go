package webhook

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	testSecret   = "66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36"
	testToken    = "bearer-hunter2"
	testHeader   = "header-hunter2"
	testPassword = "password-<hunter2>&\"quoted\""
	testQuery    = "query-hunter2"
)

// receiver is an endpoint that stores by trace id, as consumers should, and
// fails as it is told to.
type receiver struct {
	*httptest.Server
	config func(*Config) // of the destination that Open opens; nil: as it is
	ended  chan struct{} // one for each connection that ended, while there is room

	mu       sync.Mutex
	broken   string
	repeat   func(credentials ...string) string // nil: it does not
	got      map[string][]byte
	requests []*http.Request
	bodies   [][]byte
}

// newReceiver starts a receiver; secure means TLS, with HTTP/2 on offer, where it wants to see the client's certificate.
func newReceiver(tb testing.TB, secure bool) *receiver {
	tb.Helper()
	r := &receiver{got: map[string][]byte{}, ended: make(chan struct{}, 100)}
	r.Server = httptest.NewUnstartedServer(r)
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are what tests are about
	r.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed && len(r.ended) < cap(r.ended) {
			r.ended <- struct{}{}
		}
	}
	if secure {
		r.EnableHTTP2 = true
		r.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		r.StartTLS()
	} else {
		r.Start()
	}
	tb.Cleanup(r.Server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	r.requests = append(r.requests, req)
	r.bodies = append(r.bodies, body)
	broken, repeat := r.broken, r.repeat
	if err == nil && broken == "" && repeat == nil {
		r.got[req.Header.Get("x-terra-trace-id")] = body
	}
	r.mu.Unlock()
	if repeat != nil {
		w.WriteHeader(500)
		io.WriteString(w, repeat(credentialsOf(req)...))
		return
	}
	switch broken {
	case "":
		io.WriteString(w, "ok")
	case "429 waits", "503 waits":
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(codeOf(broken))
	case "302 to metadata":
		w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
		w.WriteHeader(302)
	case "500 with an echo":
		w.WriteHeader(500)
		user, password, _ := req.BasicAuth()
		fmt.Fprintf(w, "cannot %s %s as %s %s\n", req.Method, req.URL, user, password)
		req.Header.Write(w)
	case "500 with an echo at the cut":
		w.WriteHeader(500)
		io.WriteString(w, strings.Repeat("x", excerptSize-5)+strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
		io.WriteString(w, strings.Repeat("x", excerptSize-5)+req.Header.Get("X-Custom"))
	case "500 with 5 KiB":
		w.WriteHeader(500)
		io.WriteString(w, strings.Repeat("x", 5<<10))
	case "500 with 1 MiB":
		w.WriteHeader(500)
		io.WriteString(w, strings.Repeat("x", 1<<20))
	case "garbage with an echo":
		// Without a space the whole line comes back in net/http's error.
		r.raw(w, strings.ReplaceAll(fmt.Sprint(req.URL, req.Header), " ", "_")+"\r\n\r\n")
	case "200 with half a header":
		r.raw(w, "HTTP/1.1 200 OK\r\nX-Half: "+req.Header.Get("Authorization"))
	case "hang up":
		r.raw(w, "")
	case "huge header":
		w.Header().Set("X-Huge", strings.Repeat("x", 128<<10))
	default:
		w.WriteHeader(codeOf(broken))
	}
}

// credentialsOf returns all of a request that a receiver should not repeat.
func credentialsOf(req *http.Request) []string {
	_, credentials, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	all := []string{req.Header.Get("X-Custom"), req.Header.Get("Authorization"), credentials, req.URL.Query().Get("token"), req.URL.RawQuery}
	if _, password, ok := req.BasicAuth(); ok {
		all = append(all, password)
	}
	for _, f := range strings.FieldsFunc(req.Header.Get("x-terra-signature")+" "+req.Header.Get("webhook-signature"), func(r rune) bool { return r == ',' || r == ' ' }) {
		if s := strings.TrimPrefix(f, "v1="); len(s) > 20 {
			all = append(all, s)
		}
	}
	return all
}

func codeOf(broken string) (code int) {
	fmt.Sscan(broken, &code)
	return code
}

// raw writes text as it is and hangs up.
func (r *receiver) raw(w http.ResponseWriter, text string) {
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	rw.WriteString(text)
	rw.Flush()
	// Bytes left unread would turn the end of the connection into a reset.
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	io.Copy(io.Discard, bufio.NewReader(c))
}

func (r *receiver) set(broken string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = broken
}

func (r *receiver) Break(_ testing.TB, f destinationtest.Failure) { r.set(f.Name) }
func (r *receiver) Mend(testing.TB) {
	r.set("")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repeat = nil
}

func (r *receiver) Stored(testing.TB) (all [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.got {
		all = append(all, b)
	}
	return all
}

// last returns the latest request and its body.
func (r *receiver) last(tb testing.TB) (*http.Request, []byte) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) == 0 {
		tb.Fatal("no request arrived")
	}
	return r.requests[len(r.requests)-1], r.bodies[len(r.bodies)-1]
}

func (r *receiver) count(testing.TB) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.requests)
}

// ca is the certificate to trust, in PEM form.
func (r *receiver) ca() secret.Value {
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})))
}

// settings are valid for this receiver.
func (r *receiver) settings() Config {
	c := defaults()
	c.URL = r.URL + "/hook?token=" + testQuery
	c.Secret = secret.New(testSecret)
	c.AllowHTTP = true
	if strings.HasPrefix(r.URL, "https") {
		c.TLS = TLS{CA: r.ca(), ServerName: "example.com"}
	}
	if r.config != nil {
		r.config(&c)
	}
	return c
}

func (r *receiver) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	tb.Helper()
	return openWith(tb, r.settings(), deps)
}

// openWith opens what the settings' own validation accepts.
func openWith(tb testing.TB, c Config, deps destination.Deps) *webhook {
	tb.Helper()
	deps.Exchange = deps.Exchange.With(nil) // as the engine does: one for each destination
	opener, err := Definition().Bind(func(into any) error { *into.(*Config) = c; return nil })
	if err != nil {
		tb.Fatal(err)
	}
	d, err := opener(deps)
	if err != nil {
		tb.Fatal(err)
	}
	return d.(*webhook)
}

// plainDeps is what the engine lends, without its guard.
func plainDeps(tb testing.TB) destination.Deps {
	return depsOver(tb, nil)
}

// depsOver is plainDeps with connections that dial makes.
func depsOver(tb testing.TB, dial exchange.DialFunc) destination.Deps {
	return destination.Deps{Exchange: exchangetest.Client(tb, dial, nil), Brand: "terra", UserAgent: "Fantail/test"}
}

// opened is a destination for r that closes with the test.
func opened(tb testing.TB, r *receiver) *webhook {
	tb.Helper()
	w := r.Open(tb, plainDeps(tb)).(*webhook)
	tb.Cleanup(func() { w.Close() })
	return w
}

func delivery(tb testing.TB, n int) destination.Delivery {
	return destinationtest.Delivery(tb, n, bytes.Clone([]byte(`{"type":"auth", "user":{"user_id":"u1"}}`)))
}
