package config

import (
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/endpoint"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Tracing says where the spans of the daemon go.
type Tracing struct {
	Endpoint string // URL of the collector, its path included; "": no tracing
	Headers  map[string]secret.Value
	Service  string  // service.name of the spans
	Sample   float64 // of the traces that the daemon begins itself: 0 none, 1 all
}

type tracingFile struct {
	Endpoint string                  `yaml:"endpoint"`
	Headers  map[string]secret.Value `yaml:"headers"`
	Service  string                  `yaml:"service"`
	Sample   float64                 `yaml:"sample"`
}

// tracesPath is where a collector takes spans unless it says otherwise.
const tracesPath = "/v1/traces"

func (f *tracingFile) settings() Tracing {
	t := Tracing(*f)
	if u, err := endpoint.Parse(t.Endpoint, true); err == nil {
		if u.Path == "" || u.Path == "/" {
			u.Path = tracesPath
		}
		t.Endpoint = u.String()
	}
	return t
}

// headerName is a token of RFC 9110, 5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (r *daemonRules) tracing() {
	f := &r.daemon.file.Tracing
	if _, section := strictyaml.Find(r.root, "tracing"); section == nil || !r.OK("tracing.endpoint") {
		return
	}
	u, err := endpoint.Parse(f.Endpoint, true)
	switch {
	case f.Endpoint == "":
		r.At("tracing.endpoint", "is required: without tracing, leave out the whole of tracing")
		return
	case err != nil:
		r.At("tracing.endpoint", "must be a URL, as http://127.0.0.1:4318 or https://collector.example.net/v1/traces%s", because(err))
		return
	case strings.Contains(f.Endpoint, "?"):
		r.At("tracing.endpoint", "must have no query: credentials belong into tracing.headers")
		return
	}
	if loopback, _ := judgeListen(net.JoinHostPort(u.Hostname(), "0")); !loopback && u.Scheme == "http" && len(f.Headers) > 0 {
		r.daemon.note("tracing.endpoint", "the headers travel in clear to another machine: use https, unless the network between is safe")
	}
	r.Require("tracing.sample", f.Sample >= 0 && f.Sample <= 1, "must be from 0 to 1")
	r.Require("tracing.service", f.Service != "" && len(f.Service) <= 255, "must be 1 to 255 bytes")
	r.tracingHeaders(f.Headers)
}

// tracingHeaders refuses headers that net/http would refuse at every request, and those that the
// exporter sets itself.
func (r *daemonRules) tracingHeaders(headers map[string]secret.Value) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		path, value := strictyaml.Join("tracing.headers", strictyaml.QuoteKey(name)), headers[name].Reveal()
		key := http.CanonicalHeaderKey(name)
		switch {
		case !headerName.MatchString(name):
			r.Require(path, false, "is not the name of a header")
		case strings.HasPrefix(key, "Content-") || key == "Host" || key == "Connection" || key == "Transfer-Encoding":
			r.Require(path, false, "is set by the exporter")
		case value == "":
			r.Require(path, false, "is empty")
		case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
			r.Require(path, false, "has control characters, such as a line's end")
		}
	}
}
