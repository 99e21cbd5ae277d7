package sqltables

import (
	"errors"
	"regexp"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// maxSaid bounds what is quoted of a database.
const maxSaid = 400

// links are taken out of what databases say: whoever reads one in the log could
// read the payload.
var links = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"']*`)

// Quote returns what a database said without secrets and links, cut to a length
// that suits a message. Triggers and errors may repeat anything.
func Quote(text string, secrets ...secret.Value) string {
	for _, s := range secrets {
		if v := s.Reveal(); len(v) >= 4 { // shorter ones protect nothing and would riddle the text
			text = strings.ReplaceAll(text, v, secret.Redacted)
		}
	}
	text = links.ReplaceAllString(text, secret.Redacted)
	return strings.ToValidUTF8(text[:min(len(text), maxSaid)], "")
}

// Failure has a safe text and hands out no error that it was made of: their
// texts are not safe. It can be asked what it is.
type Failure struct {
	Text  string
	Cause error
}

func (f *Failure) Error() string { return f.Text }

// Is tells whether the cause is target.
func (f *Failure) Is(target error) bool { return errors.Is(f.Cause, target) }
