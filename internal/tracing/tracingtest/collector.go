// Package tracingtest is a collector of spans for tests.
package tracingtest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span as it arrived.
type Span struct {
	Name       string
	Kind       string            // server, client
	Trace      string            // 32 hexadecimal digits
	ID, Parent string            // 16 of them; Parent may be ""
	Error      string            // the status' text; "" unless Failed
	Failed     bool              // the status is Error
	Attributes map[string]string // numbers and truths as text
	Resource   map[string]string
}

// Collector takes OTLP over HTTP, in gzip and protobuf, on loopback.
type Collector struct {
	*httptest.Server
	tb testing.TB

	mu      sync.Mutex
	spans   []Span
	headers []http.Header
	answer  http.HandlerFunc
}

// New starts a collector. It is closed with the test.
func New(tb testing.TB) *Collector {
	c := &Collector{tb: tb}
	c.Server = httptest.NewServer(c)
	tb.Cleanup(func() { c.CloseClientConnections(); c.Close() })
	return c
}

// Answer sets what answers from now on, in place of taking spans; nil: take them.
func (c *Collector) Answer(with http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = with
}

// Spans returns what arrived so far, in order.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Named returns the spans with that name.
func (c *Collector) Named(name string) (found []Span) {
	for _, s := range c.Spans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// Headers returns those of all requests so far.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]http.Header(nil), c.headers...)
}

func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.headers = append(c.headers, r.Header.Clone())
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.tb.Errorf("the collector got %s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(r.Body)
		if err != nil {
			c.tb.Errorf("the collector got no gzip: %v", err)
			return
		}
		in = unzip
	}
	b, err := io.ReadAll(in)
	var request collect.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &request)
	}
	if err != nil {
		c.tb.Errorf("the collector cannot read what it got: %v", err)
		return
	}
	c.take(&request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *Collector) take(request *collect.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range request.ResourceSpans {
		resource := texts(of.Resource.Attributes)
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, Span{
					Name: s.Name, Kind: kinds[s.Kind], Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
					Error: s.Status.GetMessage(), Failed: s.Status.GetCode() == traces.Status_STATUS_CODE_ERROR,
					Attributes: texts(s.Attributes), Resource: resource,
				})
			}
		}
	}
}

var kinds = map[traces.Span_SpanKind]string{traces.Span_SPAN_KIND_SERVER: "server", traces.Span_SPAN_KIND_CLIENT: "client"}

func texts(attributes []*common.KeyValue) map[string]string {
	all := make(map[string]string, len(attributes))
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			all[a.Key] = fmt.Sprint(v.BoolValue)
		default:
			all[a.Key] = fmt.Sprintf("%T", v)
		}
	}
	return all
}
