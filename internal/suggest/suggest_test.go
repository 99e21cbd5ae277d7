package suggest

import (
	"fmt"
	"strings"
	"testing"
)

func TestAny(t *testing.T) {
	known := []string{"allow_http", "retries", "secret", "tls", "url"}
	for word, want := range map[string]string{
		"retires": "did you mean retries?", "ulr": "did you mean url?", "Secret": "did you mean secret?", "allow-http": "did you mean allow_http?",
		"tsl": "did you mean tls?", "xyz": "known are allow_http, retries, secret, tls, url", "": "known are allow_http, retries, secret, tls, url",
	} {
		if got := Any(word, known); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
	if got := Any("x", nil); got != "there are none" {
		t.Errorf("of nothing: %s", got)
	}
}

// A list that is long is cut, unless the word is near one of its end.
func TestSomeListsTwenty(t *testing.T) {
	var known []string
	for i := range 25 {
		known = append(known, fmt.Sprintf("developer-%02d", i))
	}
	if got := Some("nobody", known); !strings.HasPrefix(got, "known are developer-00, ") || !strings.HasSuffix(got, ", developer-19 and 5 more") {
		t.Errorf("%s", got)
	}
	if got := Some("devleoper-24", known); got != "did you mean developer-24?" {
		t.Errorf("%s", got)
	}
}
