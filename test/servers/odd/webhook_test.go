package odd_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/webhook"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/odd"
)

// TestNeighbours: two developers have endpoints at one host, which offers
// HTTP/2. One of the endpoints never reads what it is sent.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stuck" {
			<-done
		}
		io.Copy(io.Discard, r.Body)
	}))
	s.Config.ErrorLog = quiet
	s.EnableHTTP2 = true
	s.TLS = serverTLS(t)
	s.StartTLS()
	defer s.Close()
	e := newEngine(t)
	stuck, well := webhookAt(t, e.deps(), s.URL+"/stuck"), webhookAt(t, e.deps(), s.URL+"/well")
	if _, err := send(t, well, padded(t, 0, odd.Small)); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 3 {
		all.Go(func() { stuck.Send(t.Context(), padded(t, n, odd.Large)) })
	}
	defer func() {
		close(done)
		all.Wait()
	}()
	<-time.After(200 * time.Millisecond) // what is sent has filled the windows
	for n := range 15 {
		start := time.Now()
		if _, err := send(t, well, padded(t, n, odd.Large/10)); err != nil {
			t.Errorf("event %d: %v", n, err)
		}
		if took := time.Since(start); took > unhurried/2 {
			t.Fatalf("event %d took %v: the neighbour holds it up", n, took)
		}
	}
}

// TestNamesOfHeaders: names on the wire are as the contract writes them, and a developer's own names as
// they wrote them.
func TestNamesOfHeaders(t *testing.T) {
	t.Parallel()
	s := plain(t)
	terra := webhookAt(t, deps(t), s.URL+"/hook")
	defer terra.Close()
	standard := openedWith(t, webhook.Definition(), deps(t), func(c *webhook.Config) {
		c.URL, c.AllowHTTP, c.Signing, c.Secret = s.URL+"/hook", true, "standard-webhooks", secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	})
	defer standard.Close()
	x := padded(t, 1, odd.Small)
	x.Trace = &event.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b"}
	common := []string{"Host", "User-Agent", "Content-Type", "Content-Length", "terra-reference", "x-terra-trace-id", "x-terra-ordering-timestamp", "dev-id", "hook-type", "traceparent", "tracestate"}
	for _, c := range []struct {
		name string
		d    destination.Destination
		want []string
	}{
		{"terra", terra, append([]string{"terra-signature", "x-terra-signature", "Authorization", "Idempotency-Key", "x-api_KEY", "X-lower-UPPER"}, common...)},
		{"standard webhooks", standard, append([]string{"webhook-id", "webhook-timestamp", "webhook-signature"}, common...)},
	} {
		before := len(s.Requests())
		if _, err := send(t, c.d, x); err != nil {
			t.Fatal(err)
		}
		names := s.Requests()[before].Names()
		shown, err := c.d.(destination.Explainer).Explain(x)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		slices.Sort(c.want)
		if !slices.Equal(names, c.want) {
			t.Errorf("%s: on the wire are\n%v, want\n%v", c.name, names, c.want)
		}
		ofTheBody := func(name string) bool { return name == "Host" || name == "Content-Length" }
		if names, want := slices.Sorted(maps.Keys(shown.Headers)), slices.DeleteFunc(c.want, ofTheBody); !slices.Equal(slices.DeleteFunc(names, ofTheBody), want) {
			t.Errorf("%s: explain shows\n%v, want\n%v", c.name, names, want)
		}
	}
}
