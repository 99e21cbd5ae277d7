package aws

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

// scrub returns at most size bytes for the first size bytes of text, without
// our secrets: endpoints for debugging, and hostile ones, repeat the request,
// which carries the session token.
func (s *Session) scrub(text string, size int) string {
	forms := s.secretForms()
	text = strings.ToValidUTF8(text, "?")
	var out strings.Builder
	for i := 0; i < len(text) && i < size && out.Len() < size; {
		if at := slices.IndexFunc(forms, func(f string) bool { return strings.HasPrefix(text[i:], f) }); at >= 0 {
			out.WriteString(secret.Redacted)
			i += len(forms[at])
		} else {
			out.WriteByte(text[i])
			i++
		}
	}
	return out.String()[:min(out.Len(), size)]
}

// secretForms are the forms in which an answer may repeat a secret, longest
// first, so that none hides the rest of another.
func (s *Session) secretForms() (forms []string) {
	known := append(s.creds.secrets(), s.settings.SecretAccessKey.Reveal(), s.settings.SessionToken.Reveal(), s.settings.ExternalID.Reveal())
	for _, k := range known {
		quoted, _ := json.Marshal(k)
		for _, f := range []string{k, string(quoted[1 : len(quoted)-1]), url.QueryEscape(k), url.PathEscape(k), html.EscapeString(k)} {
			if len(f) >= minScrub && !slices.Contains(forms, f) {
				forms = append(forms, f)
			}
		}
	}
	slices.SortStableFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return forms
}
