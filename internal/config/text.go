package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
)

// Text is the settings of one developer as they are written, in a source of such
// texts. What a source knows of its texts beyond each alone is the source's to say.
type Text struct {
	ID   string // the developer whose it is, as the source has it; what the text says itself must agree
	File string // what messages call it
	Raw  []byte
	Err  error // why it could not be read; nil: Raw has it

	Document *strictyaml.Document // what was read of Raw already; nil: nothing

	// Clash says why no text of this developer can be used; "" when this one can.
	Clash string
	// Misnamed says what to do about a text that names another developer; nil: to
	// correct the name.
	Misnamed func(named string) string
}

func (t *Text) misnamed(named string) string {
	if t.Misnamed != nil {
		return t.Misnamed(named)
	}
	return fmt.Sprintf("this is developer %s, and the text names %s: write developer: %s", t.ID, named, t.ID)
}

// Bound is what came of a Text.
type Bound struct {
	Developer *Developer // nil: it has faults
	Faults    []Fault
	Notes     []Fault
	Names     string // another developer, whom the text says it is of; "": none

	looked []looked
}

// Bind judges one text alone and binds it. Its result must not be used when ctx has ended. It
// connects to nothing, writes nothing and reads only what secrets finds; the result depends on
// nothing but the rules, the text and those secrets. A kind that panics costs its developer alone.
func (r *Rules) Bind(ctx context.Context, text *Text, secrets *Secrets) (b Bound) {
	defer func() {
		if v := recover(); v != nil { // the text of a panic may hold anything, secrets too
			b = Bound{Faults: []Fault{{File: text.File, Message: fmt.Sprintf("a kind of destination that it names panicked (%T): this is a defect of that kind", v)}}}
		}
	}()
	if text.Err != nil {
		return Bound{Faults: []Fault{{File: text.File, Message: "cannot be read: " + text.Err.Error()}}}
	}
	t := readTenant(text, secrets)
	dev := t.bind(ctx, r)
	b = Bound{Developer: dev, Names: t.named, looked: t.looked}
	if dev == nil {
		b.Faults = t.doc.Faults()
	} else {
		b.Notes = strictyaml.Sort(t.doc.Notes)
	}
	return b
}

// Secrets finds what references in developers' texts stand for: variables whose names belong to
// the developer, and files of their folder beside fantail.yaml. With anything else, developers
// could have the operator's secrets, or another developer's, sent to themselves.
type Secrets struct {
	dir   string // of fantail.yaml
	names namesakes
	none  bool // no reference stands for anything
}

// secrets finds them for all developers of texts. Two developers whose names are spelled alike
// in variables have none of those.
func (d *Daemon) secrets(texts []Text) *Secrets {
	s := &Secrets{dir: d.Dir, names: namesakes{}, none: d.Developers.Stored}
	for i := range texts {
		s.names.add(texts[i].ID)
	}
	return s
}

// looked is a reference that binding a text asked for.
type looked struct {
	reference strictyaml.Reference
	sum       [32]byte // of what was found
}

// stand tells whether all references of the developer still stand for what they did.
func (s *Secrets) stand(developer string, all []looked) bool {
	return !slices.ContainsFunc(all, func(l looked) bool {
		value, remark, err := s.find(developer, l.reference)
		return err != nil || sumFound(value, remark) != l.sum
	})
}

func sumFound(value []byte, remark string) [32]byte {
	return sha256.Sum256(slices.Concat(value, []byte{0}, []byte(remark)))
}

// find returns what a reference of the developer stands for, and a remark about where it was
// found, "" for none.
func (s *Secrets) find(developer string, r strictyaml.Reference) (value []byte, remark string, err error) {
	if s.none {
		return nil, "", errStored
	}
	file, err := s.names.permit(developer, r)
	if err != nil {
		return nil, "", err
	}
	if file == "" {
		value, err = readEnv(r.Name)
		return value, "", err
	}
	value, err = secretText(r, func() ([]byte, error) { return readInside(filepath.Join(s.dir, secretsOf(developer)), file) })
	if err != nil {
		return nil, "", err
	}
	if how := exposed(absolute(s.dir, r.Name)); how != "" {
		remark = fmt.Sprintf("file %s %s", r.Name, how)
	}
	return value, remark, nil
}
