package tracing

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	sayEvery   = time.Minute
	maxExcerpt = 512 // bytes of what a collector says
)

// exporter sends spans to the collector. It reports no errors to the SDK, which would print each
// through a handler of the whole process. Instead the log gets one error a minute, with the number
// of spans lost meanwhile and without the headers.
type exporter struct {
	to    *otlptrace.Exporter
	log   *slog.Logger
	scrub *secret.Scrubber

	mu   sync.Mutex
	said time.Time
	lost int // spans since then
}

var _ sdk.SpanExporter = (*exporter)(nil)

func newExporter(ctx context.Context, o Options) (*exporter, error) {
	to, err := otlptracehttp.New(ctx, exporterOptions(o)...)
	if err != nil {
		return nil, err
	}
	return &exporter{to: to, log: o.Log, scrub: secret.NewScrubber(secretsOf(o.Headers)...)}, nil
}

// secretsOf lists what no log may repeat. A collector that repeats the request in its answer may
// show a token without its scheme, so that is listed too.
func secretsOf(headers map[string]secret.Value) []string {
	var all []string
	for _, v := range headers {
		all = append(all, v.Reveal())
		all = append(all, strings.Fields(v.Reveal())...)
	}
	return all
}

// newClient makes a client of its own, so that no destination waits for a connection that a
// collector holds. It follows no redirects, which would take the headers elsewhere, and takes no
// proxy from the environment.
func newClient() *http.Client {
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: callTimeout}).DialContext,
			TLSHandshakeTimeout: callTimeout,
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        2,
			IdleConnTimeout:     time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ExportSpans sends a batch.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.to.ExportSpans(ctx, spans)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		return nil
	}
	e.lost += len(spans)
	if now := time.Now(); e.said.IsZero() || now.Sub(e.said) >= sayEvery {
		e.log.Warn("the collector did not take spans, and they are lost; deliveries go on", "spans", e.lost, "error", e.scrub.Excerpt(err.Error(), maxExcerpt))
		e.said, e.lost = now, 0
	}
	return nil
}

// Shutdown is called by the SDK when it has no more spans.
func (e *exporter) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }

// stop ends an export that is under way.
func (e *exporter) stop() {
	_ = e.to.Shutdown(context.Background()) // twice is allowed, and it waits for nothing
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lost > 0 {
		e.log.Warn("spans were lost", "spans", e.lost)
		e.lost = 0
	}
}
