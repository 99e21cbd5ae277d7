package secret

import (
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
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

// NewScrubber knows every form in which an answer may repeat a text.
func NewScrubber(texts ...string) *Scrubber {
	s := &Scrubber{}
	for _, t := range texts {
		quoted, _ := json.Marshal(t)
		for _, form := range []string{t, string(quoted[1 : len(quoted)-1]), url.QueryEscape(t), url.PathEscape(t), html.EscapeString(t)} {
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
