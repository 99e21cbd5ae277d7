package config

import (
	"strings"
	"testing"
)

func TestChangesNameKeysAndNoValues(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "hunter2")
	bind := func(text string) *Destination {
		t.Helper()
		snap, err := Load(folder(t, map[string]string{"developers/acme.yaml": text}), kinds())
		if err != nil {
			t.Fatal(err)
		}
		return snap.Find("acme", "app")
	}
	was := bind(acme)
	for text, want := range map[string]string{
		acme:           "",
		"# x\n" + acme: "",
		strings.Replace(acme, "acme.example", "hunter2.example", 1):                                                                                                           "url",
		strings.Replace(acme, `"${env:FANTAIL_DEV_ACME_SECRET}"`, "hunter2", 1):                                                                                               "",
		strings.Replace(acme, `"${env:FANTAIL_DEV_ACME_SECRET}"`, "hunter3", 1):                                                                                               "secret",
		strings.Replace(acme, "kind: webhook", "kind: webhook\n    timeout: 7s", 1):                                                                                           "timeout",
		strings.Replace(acme, "kind: webhook", "kind: webhook\n    enabled: false\n    events: [a]\n    rate_limit: 1/s\n    max_in_flight: 1\n    retry: { retries: 1 }", 1): "enabled events max_in_flight rate_limit retry",
		strings.Replace(acme, "https://acme.example/hooks\"", "https://acme.example/hooks\", allow_http: true", 1):                                                            "allow_http",
	} {
		if got := strings.Join(Changes(was, bind(text)), " "); got != want {
			t.Errorf("%s\nchanges %q, want %q", text, got, want)
		}
	}
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "hunter3")
	if got := strings.Join(Changes(was, bind(acme)), " "); got != "secret" {
		t.Errorf("what the reference stands for: %q", got)
	}
}
