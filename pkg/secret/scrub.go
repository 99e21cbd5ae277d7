package secret

import (
	"slices"
	"strings"
)

const (
	// minScrub is the length below which a text is left in answers: it protects
	// nothing, and taking it out would riddle every answer.
	minScrub = 4
	// widest is how many bytes of an answer may stand for one of a secret, as in
	// \u0061 and &quot;.
	widest = 6
)

// Scrubber takes our own secrets out of what the far side says: endpoints for
// debugging, and error pages of frameworks, repeat the request. It finds a text
// as it is and as JSON, URLs and HTML escape it, whichever of its characters they
// escape, also twice over; and each of these in base64, of either alphabet and
// with whatever stands around the text, and in hex.
//
// It holds the texts and nothing else: the answer is decoded, and not every
// form of every text made beforehand. nil knows no secret.
type Scrubber struct {
	texts             []string
	shortest, longest int
	spaced            bool // a text has a space, which queries write as +
}

// NewScrubber returns a Scrubber of texts. Those of fewer than 4 bytes are left out.
func NewScrubber(texts ...string) *Scrubber { return (*Scrubber)(nil).With(texts...) }

// With returns a Scrubber that knows texts, too: those of one attempt.
func (s *Scrubber) With(texts ...string) *Scrubber {
	more := &Scrubber{}
	if s != nil {
		*more = *s
		more.texts = slices.Clip(s.texts)
	}
	for _, t := range texts {
		if len(t) < minScrub || slices.Contains(more.texts, t) {
			continue
		}
		if len(more.texts) == 0 || len(t) < more.shortest {
			more.shortest = len(t)
		}
		more.texts = append(more.texts, t)
		more.longest = max(more.longest, len(t))
		more.spaced = more.spaced || strings.Contains(t, " ")
	}
	return more
}

// String and GoString keep the texts out of every print of a Scrubber.
func (s *Scrubber) String() string   { return Redacted }
func (s *Scrubber) GoString() string { return Redacted }

// Longest returns the length of the longest form of a secret, in bytes.
func (s *Scrubber) Longest() int {
	if s == nil {
		return 0
	}
	return widest * s.longest
}

// Excerpt returns at most size bytes for the first size bytes of read, without
// secrets. To recognise one that the cut would go through, read must go on for
// Longest bytes, where there are as many.
func (s *Scrubber) Excerpt(read string, size int) string {
	var found []span
	if s != nil && len(s.texts) > 0 && len(read) >= s.shortest {
		read = read[:min(len(read), size+s.Longest())]
		found = s.find(read)
	}
	if len(found) == 0 {
		return read[:min(len(read), size)]
	}
	slices.SortFunc(found, func(a, b span) int { return a.start - b.start })
	var out strings.Builder
	end := 0 // of what is written or redacted
	for _, f := range found {
		switch {
		case f.start >= size:
		case f.start < end: // two secrets, or two forms of one, share bytes
			end = max(end, f.end)
		default:
			out.WriteString(read[end:f.start])
			out.WriteString(Redacted)
			end = f.end
		}
	}
	if end < size {
		out.WriteString(read[end:min(len(read), size)])
	}
	return out.String()[:min(out.Len(), size)]
}

// span is where a secret stands.
type span struct{ start, end int }

// find returns where secrets stand in text, in any order.
func (s *Scrubber) find(text string) (found []span) {
	for _, v := range s.views(text) {
		for at, n := range s.search(v.text) {
			found = append(found, v.span(at, at+n))
		}
		for _, p := range packings {
			for at := range s.unpack(v.text, p) {
				found = append(found, v.span(at.start, at.end))
			}
		}
	}
	return found
}

// search yields where a secret begins in text, and its length.
func (s *Scrubber) search(text string) func(yield func(at, n int) bool) {
	return func(yield func(at, n int) bool) {
		for _, t := range s.texts {
			for from := 0; ; from += len(t) {
				i := strings.Index(text[from:], t)
				if i < 0 {
					break
				}
				if from += i; !yield(from, len(t)) {
					return
				}
			}
		}
	}
}
