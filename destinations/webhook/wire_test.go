package webhook

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// recorded opens a webhook with c and returns it with the requests it makes,
// which a far side at the other end of a pipe takes: so tests can run in fake time.
func recorded(tb testing.TB, c Config, brand string) (*webhook, *[]*http.Request) {
	tb.Helper()
	var all []*http.Request
	deps := depsOver(tb, func(context.Context, string, string) (net.Conn, error) {
		mine, far := net.Pipe()
		go func() {
			defer far.Close()
			for in := bufio.NewReader(far); ; {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				io.Copy(io.Discard, r.Body)
				all = append(all, r)
				io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}()
		return mine, nil
	})
	deps.Brand, deps.UserAgent = brand, "Fantail/1.2.3"
	c.URL, c.AllowHTTP = strings.Replace(c.URL, "https:", "http:", 1), true
	w := openWith(tb, c, deps)
	tb.Cleanup(func() { w.Close() })
	return w, &all
}

func settings() Config {
	c := defaults()
	c.URL, c.Secret = "https://acme.example/hook", secret.New(testSecret)
	return c
}

// TestRequestOnTheWire reads the request as it is sent, from the first byte to the last.
func TestRequestOnTheWire(t *testing.T) {
	lines := make(chan []string, 1)
	raw := listenRaw(t, func(in *bufio.Reader, out io.Writer) {
		var all []string
		for {
			line, err := in.ReadString('\n')
			if err != nil || line == "\r\n" {
				break
			}
			all = append(all, strings.TrimSuffix(line, "\r\n"))
		}
		body := make([]byte, len(`{"type":"auth", "user":{"user_id":"u1"}}`))
		io.ReadFull(in, body)
		lines <- append(all, string(body))
		io.WriteString(out, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	c := settings()
	c.URL, c.AllowHTTP = "http://"+raw+"/a%2Fb/?x=y&token=1", true
	c.Headers = map[string]secret.Value{"x-cUSTOM": secret.New("value"), "Cookie": secret.New("a=b")}
	c.Auth.Basic = &Basic{User: "user", Password: secret.New("pass:word")}
	w := openWith(t, c, plainDeps(t))
	d := delivery(t, 1)
	receipt, err := w.Send(t.Context(), d)
	if err != nil || receipt.Code != 204 || receipt.Answer != "" || receipt.Address != raw {
		t.Fatalf("%+v, %v", receipt, err)
	}
	got := <-lines
	body := got[len(got)-1]
	head := got[:len(got)-1]
	signatures := 0
	for i, line := range head {
		if name, value, _ := strings.Cut(line, ": "); strings.HasSuffix(name, "terra-signature") {
			signatures++
			checkTerra(t, value, testSecret, []byte(body), time.Now())
			head[i] = name
		}
	}
	want := []string{
		"POST /a%2Fb/?x=y&token=1 HTTP/1.1",
		"Host: " + raw,
		"Cookie: a=b",
		"x-cUSTOM: value",
		"Authorization: Basic dXNlcjpwYXNzOndvcmQ=",
		"Content-Type: application/json",
		"User-Agent: Fantail/test",
		"hook-type: WEBHOOK",
		"terra-reference: reference-1",
		"x-terra-trace-id: " + d.ID,
		"x-terra-ordering-timestamp: 1782897154123",
		"dev-id: acme",
		"terra-signature",
		"x-terra-signature",
		"Content-Length: 40",
	}
	if !slices.Equal(head, want) || signatures != 2 {
		t.Errorf("the request is\n%s\nwant\n%s", strings.Join(head, "\n"), strings.Join(want, "\n"))
	}
	if body != string(d.Event.Body) {
		t.Errorf("the body is %q", body)
	}
}

// TestTraceOfTheProducerGoesOn, and nothing else about the request changes.
func TestTraceOfTheProducerGoesOn(t *testing.T) {
	const parent, state = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1"
	synctest.Test(t, func(t *testing.T) {
		c := settings()
		c.Headers = map[string]secret.Value{"Tracestate": secret.New("of=settings")}
		w, all := recorded(t, c, "terra")
		d := delivery(t, 1)
		for _, trace := range []*event.TraceContext{nil, {Parent: parent}, {Parent: parent, State: state}} {
			d.Trace = trace
			if _, err := w.Send(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		want := [][2]string{{"", "of=settings"}, {parent, ""}, {parent, state}}
		for i, r := range *all {
			if got := [2]string{r.Header.Get("Traceparent"), r.Header.Get("Tracestate")}; got != want[i] {
				t.Errorf("request %d has %q, want %q", i, got, want[i])
			}
			r.Header.Del("Traceparent")
			r.Header.Del("Tracestate")
			if !reflect.DeepEqual(r.Header, (*all)[0].Header) { // time stands still: the signature too
				t.Errorf("request %d: %v, without a trace %v", i, r.Header, (*all)[0].Header)
			}
		}
	})
}

func plainDepsOf(t *testing.T, brand string) destination.Deps {
	deps := plainDeps(t)
	deps.Brand = brand
	return deps
}

// checkTerra verifies a signature as receivers do, by the words of the
// contract and not with the sender's code.
func checkTerra(t *testing.T, header, key string, body []byte, at time.Time) {
	t.Helper()
	stamp, sum, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	m := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(m, "%s.%s", stamp, body)
	if want := hex.EncodeToString(m.Sum(nil)); !ok || sum != want || header != "t="+stamp+",v1="+want {
		t.Errorf("the signature is %q, want v1=%s", header, want)
	}
	var unix int64
	if fmt.Sscan(stamp, &unix); time.Unix(unix, 0).Sub(at).Abs() > 5*time.Second {
		t.Errorf("it was signed for %s, want %d", stamp, at.Unix())
	}
}

// TestHeadersStayTheSameOverAttempts but for the signature, which is fresh.
func TestHeadersStayTheSameOverAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, requests := recorded(t, settings(), "terra")
		d := delivery(t, 1)
		for i := range 3 {
			d.Attempt = i + 1
			if _, err := w.Send(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			h := (*requests)[i].Header
			for _, name := range []string{"terra-signature", "x-terra-signature"} {
				if n := len(h.Values(name)); n != 1 {
					t.Errorf("%d values of %s", n, name)
				}
				checkTerra(t, h.Get(name), testSecret, d.Event.Body, time.Now())
				if i > 0 && h.Get(name) == (*requests)[0].Header.Get(name) {
					t.Error("a retry carries an old signature")
				}
			}
			for name, value := range map[string]string{
				"terra-reference":            d.Event.Reference,
				"x-terra-trace-id":           d.ID,
				"x-terra-ordering-timestamp": fmt.Sprint(d.Event.Ordering.UnixMilli()),
				"dev-id":                     "acme",
				"hook-type":                  "WEBHOOK",
				"user-agent":                 "Fantail/1.2.3",
				"content-type":               "application/json",
			} {
				if got := h.Get(name); got != value {
					t.Errorf("attempt %d: %s is %q, want %q", i+1, name, got, value)
				}
			}
			time.Sleep(18 * time.Hour)
		}
	})
}

func TestBrandNamesTheHeaders(t *testing.T) {
	w, requests := recorded(t, settings(), "acme-Health")
	if _, err := w.Send(t.Context(), delivery(t, 1)); err != nil {
		t.Fatal(err)
	}
	h := (*requests)[0].Header
	for _, name := range []string{"acme-health-signature", "x-acme-health-signature", "acme-health-reference", "x-acme-health-trace-id", "x-acme-health-ordering-timestamp", "dev-id", "hook-type"} {
		if h.Get(name) == "" {
			t.Errorf("there is no %s in %v", name, h)
		}
	}
	for name := range h {
		if strings.Contains(name, "Terra") {
			t.Errorf("%s is of another brand", name)
		}
	}
	c := settings()
	c.Headers = map[string]secret.Value{"x-acme-health-anything": secret.New("v")}
	opener, err := Definition().Bind(func(into any) error { *into.(*Config) = c; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opener(plainDepsOf(t, "acme-health")); err == nil {
		t.Error("a header of the brand may be set")
	}
	if err := c.ValidateBrand("acme-health"); err == nil || err.Error() != "headers.x-acme-health-anything: is set by the engine" {
		t.Errorf("validated as: %v", err)
	}
	if err := c.ValidateBrand("acme"); err == nil {
		t.Error("x-acme-... may be set under the brand acme")
	}
	if err := c.ValidateBrand("terra"); err != nil {
		t.Errorf("under another brand: %v", err)
	}
}

func TestRotationFollowsTheAttemptsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := settings()
		c.NextSecret, c.RotateAt = secret.New("the-next-secret"), time.Now().Add(time.Hour)
		w, requests := recorded(t, c, "terra")
		for _, step := range []struct {
			wait time.Duration
			key  string
		}{
			{0, testSecret},
			{time.Hour - time.Nanosecond, testSecret},
			{time.Nanosecond, "the-next-secret"},
			{1000 * time.Hour, "the-next-secret"},
		} {
			time.Sleep(step.wait)
			if _, err := w.Send(t.Context(), delivery(t, 1)); err != nil {
				t.Fatal(err)
			}
			h := (*requests)[len(*requests)-1].Header
			checkTerra(t, h.Get("terra-signature"), step.key, delivery(t, 1).Event.Body, time.Now())
		}
	})
}

func TestStandardWebhooksVerify(t *testing.T) {
	const nextKey = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	seed := mustDecode(t, ed25519Key[len("whsk_"):])
	verifying := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	for _, c := range []struct {
		name    string
		config  func(*Config)
		by      []string // HMAC keys that must each verify it
		ed25519 bool
		first   string // version of the first signature
	}{
		{"hmac", func(c *Config) { c.Secret = secret.New(hmacKey) }, []string{hmacKey}, false, "v1,"},
		{"ed25519", func(c *Config) { c.Secret = secret.New(ed25519Key) }, nil, true, "v1a,"},
		{"before rotation", func(c *Config) {
			c.Secret, c.NextSecret, c.RotateAt = secret.New(hmacKey), secret.New(nextKey), time.Now().Add(time.Hour)
		}, []string{hmacKey, nextKey}, false, "v1,"},
		{"rotated to ed25519", func(c *Config) {
			c.Secret, c.NextSecret, c.RotateAt = secret.New(hmacKey), secret.New(ed25519Key), time.Now().Add(-time.Hour)
		}, []string{hmacKey}, true, "v1a,"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := settings()
			s.Signing = signingStandard
			c.config(&s)
			w, requests := recorded(t, s, "terra")
			d := delivery(t, 1)
			if _, err := w.Send(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			h := (*requests)[0].Header
			for _, key := range c.by {
				wh, err := standardwebhooks.NewWebhook(key)
				if err != nil {
					t.Fatal(err)
				}
				if err := wh.Verify(d.Event.Body, h); err != nil {
					t.Errorf("the reference library says: %v", err)
				}
			}
			signatures := strings.Fields(h.Get("webhook-signature"))
			if c.ed25519 {
				i := slices.IndexFunc(signatures, func(s string) bool { return strings.HasPrefix(s, "v1a,") })
				if i < 0 {
					t.Fatalf("no v1a in %v", signatures)
				}
				message := h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "." + string(d.Event.Body)
				if !ed25519.Verify(verifying, []byte(message), mustDecode(t, signatures[i][len("v1a,"):])) {
					t.Error("the ed25519 signature does not verify")
				}
			}
			if !strings.HasPrefix(signatures[0], c.first) {
				t.Errorf("the first signature is %q, want %s", signatures[0], c.first)
			}
			if h.Get("webhook-id") != d.ID || h.Get("x-terra-trace-id") != d.ID || h.Get("terra-reference") == "" {
				t.Errorf("the headers beside the signature are missing: %v", h)
			}
			if h.Get("terra-signature") != "" || h.Get("x-terra-signature") != "" {
				t.Error("the other signature is sent, too")
			}
		})
	}
}

func mustDecode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExplainShowsWhatSendWouldSend: all of it but credentials.
func TestExplainShowsWhatSendWouldSend(t *testing.T) {
	c := settings()
	c.URL, c.AllowHTTP = "http://acme.example/hook?token="+testQuery, true
	c.Auth.Bearer = secret.New(testToken)
	c.Headers = map[string]secret.Value{"x-custom": secret.New(testHeader)}
	w, requests := recorded(t, c, "terra")
	d := destinationtest.Delivery(t, 1, []byte(`{"type":"auth"}`))
	e, err := w.Explain(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(*requests) > 0 {
		t.Error("explaining sent a request")
	}
	if e.Target != "http://acme.example/hook?redacted" || e.Body != string(d.Event.Body) {
		t.Errorf("explained as %+v", e)
	}
	if _, err := w.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	sent := (*requests)[0].Header
	for name := range sent {
		if name == "Content-Length" {
			continue
		}
		var got string
		for shown, values := range e.Headers {
			if strings.EqualFold(shown, name) {
				got = values[0]
			}
		}
		switch name {
		case "Authorization", "X-Custom", "Terra-Signature", "X-Terra-Signature":
			if got != secret.Redacted {
				t.Errorf("%s is shown as %q", name, got)
			}
		default:
			if got != sent.Get(name) {
				t.Errorf("%s is shown as %q, sent as %q", name, got, sent.Get(name))
			}
		}
	}
	if len(e.Headers) != len(sent)-1 {
		t.Errorf("explained %v, sent %v", e.Headers, sent)
	}
	for _, name := range []string{"terra-signature", "x-terra-trace-id", "hook-type", "dev-id", "x-custom", "User-Agent"} {
		if e.Headers[name] == nil {
			t.Errorf("%s is not shown as it stands on the wire: %v", name, e.Headers)
		}
	}
}
