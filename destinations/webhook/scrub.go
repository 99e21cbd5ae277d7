package webhook

import (
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// minScrub is the length below which a text is left in answers: it protects
// nothing, and taking it out would riddle every answer.
const minScrub = 4

// scrubber takes our own secrets out of what the far side says: endpoints for
// debugging, and error pages of frameworks, repeat the request.
type scrubber struct {
	texts   []string // longest first, so that no secret hides the rest of another
	longest int
}

// newScrubber knows every form in which an answer may repeat a text.
func newScrubber(texts ...string) *scrubber {
	s := &scrubber{}
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

// excerpt returns at most size bytes for the first size bytes of read, without
// secrets. To recognise one that the cut would go through, read must go on for
// s.longest bytes, where there are as many.
func (s *scrubber) excerpt(read string, size int) string {
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
			out.WriteString(secret.Redacted)
			i += n
		} else {
			out.WriteByte(read[i])
			i++
		}
	}
	return out.String()[:min(out.Len(), size)]
}
