package integration

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
)

func TestDemoAddsUp(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := cli.Run(t.Context(), []string{"demo"}, nil, &out, &errs, all.Destinations()); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, &out, &errs)
	}
	for _, want := range []string{"acme/app", "acme/crm", "globex/hooks", "globex/legacy", "adds up"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not show %q:\n%s", want, &out)
		}
	}
}

// The demo's verdict is real: a receiver with another secret makes it fail.
func TestDemoFailsOnACorruptedSecret(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := cli.Run(t.Context(), []string{"demo", "--corrupt-secret"}, nil, &out, &errs, all.Destinations()); code != 1 {
		t.Fatalf("exit %d, want 1\n%s%s", code, &out, &errs)
	}
	if !strings.Contains(errs.String(), "acme/app") || !strings.Contains(errs.String(), "does not verify") {
		t.Errorf("the error does not say what is wrong: %s", &errs)
	}
}
