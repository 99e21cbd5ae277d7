package config

import (
	"strings"
	"testing"
)

func TestTracingIsBound(t *testing.T) {
	t.Setenv("FANTAIL_OTLP_TOKEN", "Bearer hunter2hunter2")
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:4318":                "http://127.0.0.1:4318/v1/traces",
		"https://collector.example/":           "https://collector.example/v1/traces",
		"https://collector.example/otlp/v1/tr": "https://collector.example/otlp/v1/tr",
		"http://[::1]:4318/v1/traces":          "http://[::1]:4318/v1/traces",
	} {
		snap := load(t, folder(t, map[string]string{"fantail.yaml": "tracing: { endpoint: '" + endpoint + "', sample: 0.25, service: eu, headers: { authorization: '${env:FANTAIL_OTLP_TOKEN}' } }\n"}))
		got := snap.Daemon.Tracing
		if got.Endpoint != want || got.Sample != 0.25 || got.Service != "eu" || got.Headers["authorization"].Reveal() != "Bearer hunter2hunter2" || len(snap.Notes) > 0 {
			t.Errorf("%s: %+v, notes %v", endpoint, got, snap.Notes)
		}
	}
	inClear := load(t, folder(t, map[string]string{"fantail.yaml": "tracing: { endpoint: 'http://collector.example:4318', headers: { authorization: x } }\n"}))
	if len(inClear.Notes) != 1 || !strings.Contains(inClear.Notes[0].Message, "travel in clear") {
		t.Errorf("notes: %v", inClear.Notes)
	}
}

func TestTracingEndpointIsAnAddressAndNoMore(t *testing.T) {
	for _, endpoint := range []string{
		"127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://", "http:4318", "http://:4318", "/v1/traces", "http://a b",
		"http://user@collector.example", "http://collector.example?token=hunter2", "http://collector.example?", "http://collector.example#hunter2",
	} {
		_, err := Load(folder(t, map[string]string{"fantail.yaml": "tracing: { endpoint: '" + endpoint + "' }\n"}), kinds())
		if err == nil || !strings.Contains(err.Error(), "fantail.yaml:1: tracing.endpoint: must ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
