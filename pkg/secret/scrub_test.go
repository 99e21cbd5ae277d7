package secret

import (
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

func TestScrub(t *testing.T) {
	s := NewScrubber("hunter2", "hunter2-long", "a<b>&\"c\"", "abc", "", "it's", `back\slash`, `key/"of&pass`, "p\u00e4ss\U0001f511")
	for _, c := range []struct {
		name, read string
		size       int
		want       string
	}{
		{"nothing in it", "all is well", 100, "all is well"},
		{"empty", "", 100, ""},
		{"cut", "all is well", 3, "all"},
		{"a secret", "token hunter2!", 100, "token [redacted]!"},
		{"twice", "hunter2hunter2", 100, "[redacted][redacted]"},
		{"the longer of two", "hunter2-long", 100, "[redacted]"},
		{"hidden in itself", "hunhunter2ter2", 100, "hun[redacted]ter2"},
		{"as a query", url.QueryEscape(`a<b>&"c"`), 100, "[redacted]"},
		{"as a path", url.PathEscape(`a<b>&"c"`), 100, "[redacted]"},
		{"as a query, in lower case", `a%3cb%3e%26%22c%22`, 100, "[redacted]"},
		{"as HTML of PHP", `a&lt;b&gt;&amp;&quot;c&quot; it&#039;s`, 100, "[redacted] [redacted]"},
		{"as HTML of Python", `a&lt;b&gt;&amp;&quot;c&quot; it&#x27;s`, 100, "[redacted] [redacted]"},
		{"as XML", `it&apos;s`, 100, "[redacted]"},
		{"as HTML", html.EscapeString(`a<b>&"c"`), 100, "[redacted]"},
		{"as JSON", `{"k":"back\\slash"}`, 100, `{"k":"[redacted]"}`},
		{"as JSON with markup escaped", `"a\u003cb\u003e\u0026\"c\""`, 100, `"[redacted]"`},
		{"as JSON with markup as it is", `{"k":"a<b>&\"c\""}`, 100, `{"k":"[redacted]"}`},
		{"as JSON with slashes escaped", `{"k":"key\/\"of&pass"}`, 100, `{"k":"[redacted]"}`},
		{"as JSON with slashes and markup escaped", `{"k":"key\/\"of\u0026pass"}`, 100, `{"k":"[redacted]"}`},
		{"as JSON in ASCII", `{"k":"p\u00e4ss\ud83d\udd11"}`, 100, `{"k":"[redacted]"}`},
		{"quoted by Go", strconv.Quote(`key/"of&pass`), 100, `"[redacted]"`},
		{"too short to matter", "abc", 100, "abc"},
		{"the cut goes through it", "1234hunter2 and so on", 6, "1234[r"},
		{"it begins at the cut", "1234hunter2", 4, "1234"},
		{"it shrinks what comes before the cut", "hunter2-longhunter2", 13, "[redacted][re"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.Excerpt(c.read, c.size); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("hunter2", "xxhunter2xx", 5)
	f.Add("a<b>c", "a&lt;b&gt;c a%3Cb%3Ec", 12)
	f.Add("aaaa", "aaaaaaaaa", 3)
	f.Fuzz(func(t *testing.T, secret, text string, size int) {
		size &= 0xfff
		s := NewScrubber(secret)
		// Whatever the answer, it is read as far as answer reads it.
		read := text[:min(len(text), size+s.Longest())]
		got := s.Excerpt(read, size)
		if len(got) > size {
			t.Errorf("%d bytes, want at most %d", len(got), size)
		}
		for part := range strings.SplitSeq(got, "[redacted]") {
			if len(secret) >= minScrub && strings.Contains(part, secret) {
				t.Errorf("%q shows %q", got, secret)
			}
		}
	})
}
