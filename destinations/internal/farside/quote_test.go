package farside

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func TestQuoteShowsNoSecretAndNoLink(t *testing.T) {
	f := Fault(destination.Rejected, "write", "no", "mend it", fmt.Errorf("y: %w", destination.ErrEngine))
	if class, _ := destination.ClassOf(f); class != destination.Rejected || f.Error() != "write: no; mend it" || !errors.Is(f, destination.ErrEngine) || errors.Unwrap(errors.Unwrap(f)) != nil {
		t.Errorf("%v does not say what it is, or hands out its cause", f)
	}
	got := Quote(secret.NewScrubber("pass-word", "x", ""), `value "https://x.example/p?Signature=abc", HTTPS://Y/z, https:\/\/z\/abc https%3A%2F%2Fabc and pass-word `+strings.Repeat("x", 1000))
	if strings.Contains(got, "abc") || strings.Contains(got, "Y/z") || strings.Contains(got, "pass-word") || !strings.Contains(got, "xxx") || len(got) > 400 {
		t.Errorf("%q", got)
	}
}
