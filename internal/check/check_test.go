package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// fake is a destination whose check is a function.
type fake struct{ check func(context.Context) error }

func (fake) Send(context.Context, destination.Delivery) (destination.Receipt, error) {
	return destination.Receipt{}, errors.New("a check sends nothing")
}
func (fake) Close() error                      { return nil }
func (f fake) Check(ctx context.Context) error { return f.check(ctx) }

// mute has no check.
type mute struct{ destination.Destination }

func names(r Result) string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, f.Name+" "+string(f.Level))
	}
	return strings.Join(all, ", ")
}

func TestWhatBecomesOfADialIsAFinding(t *testing.T) {
	refusal := destination.Misconfigure(errors.New("connections to meta.test at 169.254.169.254 are refused: it is link-local"))
	for name, c := range map[string]struct {
		address string
		err     error // of the dial
		wrap    string
		want    string
		message string
	}{
		"no such host":  {"nowhere.test:443", fmt.Errorf("resolve nowhere.test: %w", &net.DNSError{Err: "no such host", Name: "nowhere.test"}), "post to nowhere.test: ", "dns fail", "post to nowhere.test: resolve nowhere.test"},
		"guard":         {"meta.test:80", refusal, "", "dns ok, guard fail", "connections to meta.test"},
		"guard, by IP":  {"169.254.169.254:80", refusal, "", "guard fail", "connections to meta.test"},
		"refused":       {"127.0.0.1:1", errors.New("connect to 127.0.0.1:1: connection refused"), "put: ", "guard ok, connect fail", "put: connect to 127.0.0.1:1"},
		"our own fault": {"127.0.0.1:1", fmt.Errorf("no descriptors: %w", destination.ErrEngine), "", "connect fail", "no descriptors"},
	} {
		t.Run(name, func(t *testing.T) {
			dial := Watch(func(context.Context, string, string) (net.Conn, error) { return nil, c.err })
			r := Run(t.Context(), fake{func(ctx context.Context) error {
				_, err := dial(ctx, "tcp", c.address)
				if c.wrap != "" {
					return fmt.Errorf("%s%w", c.wrap, err)
				}
				return err
			}}, "test")
			if names(r) != c.want || r.Level != Fail || !strings.Contains(r.Fault(), c.message) {
				t.Errorf("%s: %s, %q", names(r), r.Level, r.Fault())
			}
			if last := r.Findings[len(r.Findings)-1]; last.Advice == "" {
				t.Error("nobody is told what to do")
			}
		})
	}
}

func TestWhatTheKindSaysIsAFinding(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		want    string
		message string
	}{
		"nothing":       {nil, "access ok", ""},
		"remark":        {destination.Remark("links end early"), "access warn", "links end early"},
		"misconfigured": {destination.Misconfigure(errors.New("no such bucket")), "access fail", "no such bucket"},
		"transient":     {errors.New("answered 500"), "access fail", "answered 500"},
		"throttled":     {destination.Throttle(errors.New("slow down"), time.Second), "access fail", "slow down"},
		"engine":        {fmt.Errorf("payloads: %w", destination.ErrEngine), "access fail", "payloads"},
	} {
		r := Run(t.Context(), fake{func(context.Context) error { return c.err }}, "test")
		if names(r) != c.want || r.Fault() != c.message && !strings.HasPrefix(r.Fault(), c.message+":") {
			t.Errorf("%s: %s, %q", name, names(r), r.Fault())
		}
	}
	panics := Run(t.Context(), fake{func(context.Context) error { panic("secret-hunter2") }}, "test")
	if panics.Level != Fail || strings.Contains(panics.Fault(), "hunter2") {
		t.Errorf("a panic: %+v", panics)
	}
	if r := Run(t.Context(), mute{}, "dumb"); r.Level != Warn || !strings.Contains(r.Fault(), "kind dumb have no check") {
		t.Errorf("no check: %+v", r)
	}
}

// A check says of deliveries what the engine does with them: see internal/delivery.decide.
func TestEachClassSaysWhatBecomesOfDeliveries(t *testing.T) {
	no := errors.New("no")
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"transient":     {no, "deliveries would be tried again on their schedule"},
		"throttled":     {destination.Throttle(no, time.Second), "deliveries would wait as long as it says"},
		"misconfigured": {destination.Misconfigure(no), "the destination would be held"},
		"rejected":      {destination.Reject(no), "is dead at its first attempt, and not retried"},
		"engine":        {fmt.Errorf("%w", destination.ErrEngine), "not of the destination"},
		"panic":         {nil, "deliveries would be tried again on their schedule"},
	} {
		r := Run(t.Context(), fake{func(context.Context) error {
			if c.err == nil {
				panic("x")
			}
			return c.err
		}}, "test")
		if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Advice, c.says) {
			t.Errorf("%s: %+v, want %q", name, r.Findings, c.says)
		}
	}
}

// A dial that failed where another succeeded is a remark and no more.
func TestAFaultThatDidNoHarmIsARemark(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial := Watch((&net.Dialer{}).DialContext)
	r := Run(t.Context(), fake{func(ctx context.Context) error {
		if _, err := dial(ctx, "tcp", "127.0.0.1:1"); err == nil {
			t.Error("something listens on port 1")
		}
		c, err := dial(ctx, "tcp", l.Addr().String())
		if err == nil {
			c.Close()
		}
		return err
	}}, "test")
	if r.Level != Warn || !strings.Contains(r.Fault(), "connection refused") {
		t.Errorf("%s: %+v", r.Level, r)
	}
}

// A kind that uses net/http with the context of the check needs nothing more: its certificates are
// seen, on a fresh connection and on a kept one.
func TestCertificatesAreSeenThroughNetHTTP(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	client := s.Client()
	transport := client.Transport.(*http.Transport)
	transport.DialContext = Watch((&net.Dialer{}).DialContext)
	get := fake{func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			res.Body.Close()
		}
		return err
	}}
	for _, round := range []string{"fresh", "kept"} {
		r := Run(t.Context(), get, "test")
		if !r.Expires.Equal(s.Certificate().NotAfter) || names(r) != "guard ok, connect ok, tls ok, access ok" {
			t.Errorf("%s: %s, ends %s", round, names(r), r.Expires)
		}
	}
	transport.CloseIdleConnections()
	transport.TLSClientConfig = &tls.Config{}
	r := Run(t.Context(), get, "test")
	if names(r) != "guard ok, connect ok, tls fail" || !strings.Contains(r.Fault(), "authority that is not trusted") {
		t.Errorf("%s: %s", names(r), r.Fault())
	}
}

func TestCertificatesAreJudgedByTheirEnd(t *testing.T) {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		left  time.Duration
		level Level
		say   string
	}{
		{61 * 24 * time.Hour, OK, "in 61 days"},
		{15 * 24 * time.Hour, OK, "in 15 days"},
		{13 * 24 * time.Hour, Warn, "in 13 days"},
		{5 * time.Hour, Warn, "in 5 h"},
	} {
		f := ofTLS(handshake{host: "a.test", expires: now.Add(c.left)}, now)
		if f.Level != c.level || !strings.HasSuffix(f.Message, c.say) {
			t.Errorf("%v: %+v", c.left, f)
		}
	}
}

func TestBoardShowsTheFirst500AndTheSoonestOfTheRest(t *testing.T) {
	b := NewBoard()
	now := time.Now()
	for i := range 600 {
		key := store.DestinationKey{Developer: "acme", Name: fmt.Sprintf("d%03d", i), Kind: "webhook"}
		b.Post(key, 1, Result{At: now, Expires: now.Add(time.Duration(1000-i) * time.Hour)})
	}
	b.Post(store.DestinationKey{Developer: "acme", Name: "d000", Kind: "s3"}, 1, Result{At: now, Expires: now.Add(-time.Hour)})
	b.Post(store.DestinationKey{Developer: "acme", Name: "plain", Kind: "webhook"}, 1, Result{At: now})
	want := map[string]float64{"d000": -1, "d001": 999, "other": 401}
	families := gather(t, b)
	if n := len(families); n != 501 {
		t.Errorf("%d gauges", n)
	}
	for name, hours := range want {
		if got := families[name] / 3600; got < hours-0.1 || got > hours {
			t.Errorf("%s ends in %v h, want %v", name, got, hours)
		}
	}
	b.Keep(map[store.DestinationKey]uint64{{Developer: "acme", Name: "d001", Kind: "webhook"}: 1})
	if n := len(gather(t, b)); n != 1 {
		t.Errorf("%d gauges of one destination", n)
	}
}

// An older check that ends late does not replace the result of a newer one.
func TestBoardKeepsTheNewest(t *testing.T) {
	b := NewBoard()
	key := store.DestinationKey{Developer: "acme", Name: "app", Kind: "webhook"}
	now := time.Now()
	b.Post(key, 1, Result{At: now, Level: OK})
	b.Post(key, 1, Result{At: now.Add(-time.Second), Level: Fail})
	if r, ok := b.LastOf(key, 1); !ok || r.Level != OK {
		t.Errorf("%+v, %v", r, ok)
	}
	if _, ok := b.LastOf(key, 2); ok {
		t.Error("a result of other settings is taken for one of these")
	}
}

// shows is a destination with a client certificate.
type shows struct {
	fake
	c x509.Certificate
}

func (s shows) Certificates() []*x509.Certificate { return []*x509.Certificate{&s.c} }

func TestTheClientsCertificateHasAnEndToo(t *testing.T) {
	now := time.Now()
	begun := now.Add(-time.Hour)
	for _, c := range []struct {
		from, until time.Time
		err         error
		want        string
		message     string
	}{
		{begun, now.Add(61*24*time.Hour + time.Minute), nil, "access ok, tls ok", "in 61 days"},
		{begun, now.Add(10 * 24 * time.Hour), nil, "access ok, tls warn", "in 9 days"},
		{begun, now.Add(-49 * time.Hour), errors.New("remote error: tls: expired certificate"), "access fail, tls warn", "expired 2 days ago"},
		{now.Add(time.Hour), now.Add(61 * 24 * time.Hour), nil, "access ok, tls warn", "is valid from"},
	} {
		d := shows{fake{func(context.Context) error { return c.err }}, x509.Certificate{NotBefore: c.from, NotAfter: c.until}}
		r := Run(t.Context(), d, "test")
		if names(r) != c.want || !strings.Contains(r.Findings[1].Message, c.message) || !r.Expires.Equal(c.until) {
			t.Errorf("until %v: %+v, want %s", c.until, r, c.want)
		}
	}
}
