package config

import (
	"encoding/json"
	"strings"
	"testing"
)

const hidden = "hunter2hunter2hunter2"

// Settings are shown with every default and without secrets, wherever those stand.
func TestEffectiveSettingsHaveNoSecret(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", hidden+"-env")
	path := folder(t, map[string]string{
		"fantail.yaml": `tokens: [{ name: support, value: ` + hidden + `, may: [read], rate: 100/s }]
egress: { proxy: "http://u:` + hidden + `@proxy.example:3128", allow: [10.0.0.0/8], source: [192.0.2.7] }
tracing: { endpoint: "https://collector.example", headers: { x-key: ` + hidden + ` } }
console: { public_url: "https://events.example" }
`,
		"developers/acme.yaml": `developer: acme
destinations:
  - name: app
    kind: webhook
    events: [sleep]
    rate_limit: 10/m
    retry: { initial: 1m, retries: 2 }
    settings:
      url: "https://acme.example/hooks"
      secret: "${env:FANTAIL_DEV_ACME_SECRET}"
      next_secret: ` + hidden + `
      headers: { authorization: ` + hidden + ` }
      auth: { user: u, password: ` + hidden + ` }
      odd: ` + hidden + `
      wait: 90s
      from: 192.0.2.1
`,
	})
	snap := load(t, path)
	d := snap.Find("acme", "app")
	own, err := d.Effective(kinds())
	if err != nil {
		t.Fatal(err)
	}
	again, err := Thaw(d.Freeze(), kinds(), snap.Keys)
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := again.Effective(kinds())
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"the daemon": snap.Effective(), "a destination": own, "frozen settings": frozen} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "0123456789abcdef") {
			t.Errorf("%s shows a secret: %s", name, text)
		}
		wants := []string{`"secret":"[redacted]"`, `"authorization":"[redacted]"`, `"wait":"1m30s"`, `"from":"192.0.2.1"`, `"timeout":"30s"`, `"max_in_flight":16`, `"user":"u"`, `"waits":["1m","3m"]`}
		if name == "the daemon" {
			wants = []string{`"value":"[redacted]"`, `"rate":"100/s"`, `"proxy":"[redacted]"`, `"x-key":"[redacted]"`, `"changes":"8760h"`, `"reserve":536870912`, `"allow":["10.0.0.0/8"]`, `"source":["192.0.2.7"]`, `"public_url":"https://events.example"`, `"brand":"terra"`, `"keys":["[redacted]"]`}
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %s: %s", name, want, text)
			}
		}
	}
}
