package cli

import (
	"strings"
	"testing"
)

// A reason given with a command stands in the trail, whichever command it was.
func TestReasonsStandInTheTrail(t *testing.T) {
	path := settings(t, map[string]string{"acme": pickyAcme})
	tr, _ := daemon(t, path)
	tr.must(t, `pause acme/app --reason "their database moves"`)
	tr.must(t, `resume acme/app --reason "it has moved: 100% done, schön"`)
	tr.must(t, `reload --reason "new settings"`)
	out := tr.must(t, "changes -o wide")
	for _, want := range []string{"pauseDestination", "their database moves", "resumeDestination", "it has moved: 100% done, schön", "new settings", "local", "acme/app"} {
		if !strings.Contains(out, want) {
			t.Errorf("the trail lacks %q:\n%s", want, out)
		}
	}
	if got := tr.must(t, "changes --developer globex -o jsonl"); got != "" {
		t.Errorf("of globex: %s", got)
	}
	if r := tr.run(t, "reload", "--reason", strings.Repeat("x", 501)); r.code != 2 || !strings.Contains(r.err, "--reason has more than 500 bytes") {
		t.Errorf("a long one: %+v", r)
	}
	for _, args := range [][]string{{"portal-link"}, {"portal-link", "acme", "--revoke", "x"}, {"portal-link", "acme", "--ttl", "25h"}, {"portal-link", "acme", "--ttl", "1s"}} {
		if r := tr.run(t, args...); r.code != 2 {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if r := tr.run(t, "portal-link", "acme"); r.code != 1 || !strings.Contains(r.err, "without tokens") {
		t.Errorf("a link without tokens: %+v", r)
	}
}
