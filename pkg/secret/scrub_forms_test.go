package secret_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/pkg/secret/secrettest"
)

// TestNoFormOfASecretSurvives, whatever stands around it.
func TestNoFormOfASecretSurvives(t *testing.T) {
	for _, text := range []string{
		"hunter2", "ya29.a0/b-c_d+e=f", `password-<hunter2>&"it's"`, `back\slash/%41&lt;`, "p\u00e4ss\U0001f511wort", "Bearer a+b c", "%2Fhunter2%",
		"aaaa", "\xfe\xffraw\x00", "-----BEGIN KEY-----\nMIIE\n-----END KEY-----\n",
	} {
		s := secret.NewScrubber("another-secret", text, "x")
		for _, f := range secrettest.Forms(text) {
			for _, around := range [][2]string{
				{"", ""}, {"got ", " from you"}, {`{"token":"`, `"}`}, {"QUJD.", "-_+/"}, {"0a0b0", "c0d"}, {`\"`, `\"`}, {"100% ", "&c"},
			} {
				got := s.Excerpt(around[0]+f.Text+around[1], 1<<10)
				if strings.Contains(got, f.Core) || !strings.Contains(got, secret.Redacted) {
					t.Errorf("%q, %s: %q survives as %q", text, f.Name, around[0]+f.Text+around[1], got)
				}
				if got := s.Excerpt("we are well: "+around[0]+f.Text+around[1], 12); got != "we are well:" {
					t.Errorf("%q, %s: the beginning is %q", text, f.Name, got)
				}
			}
		}
	}
}

// What stands around a secret stays, to the character.
func TestWhatIsNoSecretStays(t *testing.T) {
	s := secret.NewScrubber("hunter2", "ya29.a0/b-c")
	for read, want := range map[string]string{
		`{"a":"\u0068unter2","b":"\u00e4"}`: `{"a":"[redacted]","b":"\u00e4"}`,
		`{"a":"ya29.a0\/b-c","b":"\/"}`:     `{"a":"[redacted]","b":"\/"}`,
		"<b>hunter&#50;</b>&lt;":            "<b>[redacted]</b>&lt;",
		"/x?token=%68unter2&y=%20":          "/x?token=[redacted]&y=%20",
		// The character between the two is of both.
		"Basic dXNlcjpodW50ZXIy":                     "Basic dXNlcj[redacted]",
		"x 68756e74657232 y":                         "x [redacted] y",
		"hunter hunte 2hunter 100% \\ & &; %4 \\u00": "hunter hunte 2hunter 100% \\ & &; %4 \\u00",
		`{"all":"is\nwell","at":"%2Fhook?a=1&b=2"}`:  `{"all":"is\nwell","at":"%2Fhook?a=1&b=2"}`,
	} {
		if got := s.Excerpt(read, 1<<10); got != want {
			t.Errorf("%s is %s, want %s", read, got, want)
		}
	}
}

// The secrets of one attempt are known to that alone.
func TestWithLeavesTheScrubberAlone(t *testing.T) {
	base := secret.NewScrubber("hunter2")
	one, two := base.With("signature-1"), base.With("signature-2", "a very long one indeed")
	const read = "hunter2 signature-1 signature-2"
	for s, want := range map[*secret.Scrubber]string{
		base: "[redacted] signature-1 signature-2",
		one:  "[redacted] [redacted] signature-2",
		two:  "[redacted] signature-1 [redacted]",
		nil:  read,
	} {
		if got := s.Excerpt(read, 100); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if base.Longest() != 6*len("hunter2") || two.Longest() != 6*len("a very long one indeed") || (*secret.Scrubber)(nil).Longest() != 0 {
		t.Error(base.Longest(), two.Longest())
	}
	if got := fmt.Sprintf("%v %+v %#v %s", base, base, base, base); strings.Contains(got, "hunter2") {
		t.Error(got)
	}
}

// FuzzForms: whatever the secret and whatever stands around it, none of its forms
// survives, the excerpt is bounded, and what is no secret stays.
func FuzzForms(f *testing.F) {
	f.Add("hunter2", "xx", "yy", 5)
	f.Add("a<b>c/d", "a&lt;b&gt;c", `\`, 12)
	f.Add("%41+ \\u0041&#65;", "%", "&#", 300)
	f.Fuzz(func(t *testing.T, text, before, after string, size int) {
		size &= 0xfff
		s := secret.NewScrubber(text)
		if len(text) < 4 {
			if got := s.Excerpt(before, len(before)); got != before {
				t.Errorf("%q became %q without a secret", before, got)
			}
			return
		}
		for _, f := range secrettest.Forms(text) {
			// The spaces keep an escape from beginning in one and ending in the other.
			read := before + " " + f.Text + " " + after
			if got := s.Excerpt(read, size); len(got) > size {
				t.Fatalf("%d bytes, want at most %d", len(got), size)
			}
			for part := range strings.SplitSeq(s.Excerpt(read, 4*len(read)), secret.Redacted) {
				// What stands around it may have the core of a form, which is less than the form.
				if strings.Contains(part, f.Core) && !strings.Contains(before, f.Core) && !strings.Contains(after, f.Core) {
					t.Fatalf("%q, %s: %q survives as %q", text, f.Name, read, part)
				}
			}
		}
	})
}
