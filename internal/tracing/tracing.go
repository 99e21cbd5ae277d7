// Package tracing makes OpenTelemetry's spans of the daemon: one for each request that hands in
// events, and below it one for each attempt to deliver them. It sets nothing that belongs to the
// whole process. It shows its spans to the collector alone: with a span in a context, libraries of
// the kinds would add spans of their own, which name objects and hosts.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Options say where spans go.
type Options struct {
	Endpoint string                  // URL of the collector, for OTLP over HTTP
	Headers  map[string]secret.Value // of every request to it
	Service  string                  // service.name
	Version  string                  // service.version
	Sample   float64                 // of events without a trace of their producer: 0 none, 1 all
	Log      *slog.Logger
}

const (
	queueSize   = 8192 // spans that wait for the collector, some 10 MB at most; more are dropped
	batchSize   = 512
	batchEvery  = 2 * time.Second
	callTimeout = 10 * time.Second
	exportMost  = 30 * time.Second // one batch, with repetitions
	flushMost   = 5 * time.Second  // at the stop
	maxText     = 1 << 10          // of an attribute, in characters
)

// Tracer makes spans. A nil Tracer makes none and costs nothing.
type Tracer struct {
	tracer   trace.Tracer
	provider *sdk.TracerProvider
	exporter *exporter
}

// New builds a Tracer. It connects to nothing, so that a daemon starts while the collector is
// down.
func New(ctx context.Context, o Options) (*Tracer, error) {
	e, err := newExporter(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("build the exporter of traces: %w", err)
	}
	// Each option overrides an environment variable that the SDK would read.
	p := sdk.NewTracerProvider(
		sdk.WithBatcher(e, sdk.WithMaxQueueSize(queueSize), sdk.WithMaxExportBatchSize(batchSize),
			sdk.WithBatchTimeout(batchEvery), sdk.WithExportTimeout(exportMost)),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Sample))),
		sdk.WithRawSpanLimits(sdk.SpanLimits{AttributeValueLengthLimit: maxText, AttributeCountLimit: 32}),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))),
	)
	return &Tracer{tracer: p.Tracer("github.com/seed-51f8da91/fantail", trace.WithInstrumentationVersion(o.Version)), provider: p, exporter: e}, nil
}

// Stop sends the spans that are left, until ctx ends but for at most 5 s. Spans that end
// afterwards are lost.
func (t *Tracer) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushMost)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter has logged what it could not send
	t.exporter.stop()            // an export that goes on would outlive the daemon's parts
}

// exporterOptions sets every option that the environment could set otherwise.
func exporterOptions(o Options) []otlptracehttp.Option {
	headers := make(map[string]string, len(o.Headers))
	for name, value := range o.Headers {
		headers[name] = value.Reveal()
	}
	return []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(o.Endpoint),
		otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithHTTPClient(newClient()),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithMaxResponseSize(64 << 10),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: exportMost,
		}),
	}
}
