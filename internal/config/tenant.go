package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// tenant is a Text on its way to a Developer.
type tenant struct {
	id      string // the developer, by the source
	named   string // another developer, whom the text says it is of
	doc     *strictyaml.Document
	file    developerFile
	secrets *Secrets
	looked  []looked

	hasty   []string // destinations with waits that are too short
	hastyAt int      // line of the first
}

// readTenant reads a text as far as that needs no other. The source says whose text it is. The
// text's own word could name anybody, and must agree.
func readTenant(text *Text, secrets *Secrets) *tenant {
	t := &tenant{id: text.ID, secrets: secrets, doc: text.Document}
	if t.doc == nil {
		t.doc = strictyaml.Parse(text.File, text.Raw)
	}
	if t.doc.Root == nil {
		return t
	}
	b := newBinder(t.doc, t.doc.Root, "")
	b.Bind(t.doc.Root, &t.file, "")
	b.Require("developer", t.file.Developer != "", "is missing: every file names its developer")
	b.Require("developer", event.ValidName(t.file.Developer), nameRule)
	if b.OK("developer") && t.file.Developer != t.id {
		t.named = t.file.Developer
		b.At("developer", "%s", text.misnamed(t.named))
	}
	if text.Clash != "" {
		b.At("developer", "%s", text.Clash)
	}
	return t
}

// lookup resolves the references of the text. When the text names another developer it reads no
// secret, but reports at once what would be left to mend after renaming.
func (t *tenant) lookup() strictyaml.Lookup {
	switch {
	case t.named != "":
		return func(ref strictyaml.Reference) ([]byte, error) {
			if _, err := t.secrets.names.permit(t.named, ref); err != nil {
				return nil, err
			}
			return nil, strictyaml.ErrUnresolved
		}
	case t.file.Developer != t.id:
		return func(strictyaml.Reference) ([]byte, error) { return nil, strictyaml.ErrUnresolved }
	}
	return func(ref strictyaml.Reference) ([]byte, error) {
		value, remark, err := t.secrets.find(t.id, ref)
		if err != nil {
			return nil, err
		}
		if remark != "" {
			t.doc.Note(0, remark)
		}
		t.looked = append(t.looked, looked{ref, sumFound(value, remark)})
		return value, nil
	}
}

// noteHasty says, in one line, which destinations have waits that were lengthened.
func (t *tenant) noteHasty(least time.Duration) {
	if len(t.hasty) == 0 {
		return
	}
	names := strings.Join(t.hasty[:min(len(t.hasty), 5)], ", ")
	if more := len(t.hasty) - 5; more > 0 {
		names += " and " + strconv.Itoa(more) + " more"
	}
	t.doc.Note(t.hastyAt, fmt.Sprintf("waits of retry that are shorter than limits.per_developer.shortest_wait of fantail.yaml, %s, are lengthened to it: %s", short(least), names))
}
