package secret

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// minScrub is the length below which a text is left in answers: it protects
// nothing, and taking it out would riddle every answer.
const minScrub = 4

// Scrubber takes our own secrets out of what the far side says: endpoints for
// debugging, and error pages of frameworks, repeat the request.
type Scrubber struct {
	texts   []string // longest first, so that no secret hides the rest of another
	longest int
}

// NewScrubber knows the usual forms in which an answer may repeat a text: as it
// is, in JSON, in a URL, in HTML.
func NewScrubber(texts ...string) *Scrubber {
	s := &Scrubber{}
	for _, t := range texts {
		for _, form := range slices.Concat([]string{t}, quoted(t), escaped(t), marked(t)) {
			if len(form) >= minScrub && !slices.Contains(s.texts, form) {
				s.texts = append(s.texts, form)
			}
		}
	}
	slices.SortStableFunc(s.texts, func(a, b string) int { return len(b) - len(a) })
	if len(s.texts) > 0 {
		s.longest = len(s.texts[0])
	}
	return s
}

// quoted returns t as encoders of JSON write it: with markup escaped or not,
// with all but ASCII escaped or not, and each with slashes escaped or not. The
// first comes from Go, the second from Python, and PHP escapes slashes. Texts of
// net/http quote like one of them, too.
func quoted(t string) (forms []string) {
	markup, _ := json.Marshal(t)
	var plain strings.Builder
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	_ = e.Encode(t)
	for _, form := range []string{string(markup), strings.TrimSuffix(plain.String(), "\n")} {
		form = form[1 : len(form)-1]
		for _, form := range []string{form, ascii(form)} {
			forms = append(forms, form, strings.ReplaceAll(form, "/", `\/`))
		}
	}
	return forms
}

// ascii writes what is beyond ASCII in the escapes of JSON.
func ascii(t string) string {
	var b strings.Builder
	for _, r := range t {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}

// escaped returns t as it may stand in a URL; .NET writes lower-case escapes.
func escaped(t string) (forms []string) {
	for _, form := range []string{url.QueryEscape(t), url.PathEscape(t)} {
		low := []byte(form)
		for i, c := range low {
			if c == '%' {
				copy(low[i:], strings.ToLower(form[i:i+3]))
			}
		}
		forms = append(forms, form, string(low))
	}
	return forms
}

// marked returns t as it may stand in HTML. Go, PHP, Python and XML write quotes
// differently.
func marked(t string) (forms []string) {
	form := html.EscapeString(t)
	for _, double := range []string{"&#34;", "&quot;"} {
		for _, single := range []string{"&#39;", "&#039;", "&#x27;", "&apos;"} {
			forms = append(forms, strings.NewReplacer("&#34;", double, "&#39;", single).Replace(form))
		}
	}
	return forms
}

// Longest returns the length of the longest form of a secret, in bytes.
func (s *Scrubber) Longest() int { return s.longest }

// Excerpt returns at most size bytes for the first size bytes of read, without
// secrets. To recognise one that the cut would go through, read must go on for
// Longest bytes, where there are as many.
func (s *Scrubber) Excerpt(read string, size int) string {
	if !slices.ContainsFunc(s.texts, func(t string) bool { return strings.Contains(read, t) }) {
		return read[:min(len(read), size)]
	}
	var out strings.Builder
	for i := 0; i < len(read) && i < size; {
		n := 0
		for _, t := range s.texts {
			if strings.HasPrefix(read[i:], t) {
				n = len(t)
				break
			}
		}
		if n > 0 {
			out.WriteString(Redacted)
			i += n
		} else {
			out.WriteByte(read[i])
			i++
		}
	}
	return out.String()[:min(out.Len(), size)]
}
