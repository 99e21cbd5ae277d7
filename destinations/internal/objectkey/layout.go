package objectkey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultLayout is the contract's: what has no value, the version or the user,
// goes with the / or - behind it.
const DefaultLayout = "{version}/{type}/{user_id}-{start}.json"

// Layout is a layout that was found sound.
type Layout struct {
	folders        [][]part // the last is the object's name
	extension      string   // behind the name
	defaultVersion string   // as it stands in keys
	items          bool     // content: item
	own            int      // the first of an object's keys that only its identity can have
}

// part is a literal text or a variable.
type part struct {
	text string
	v    variable
}

type variable int

const (
	literal variable = iota
	version
	typ
	userID
	start
	generated
	id
	summaryID
	provider
	referenceID
)

var variables = [...]string{"", "version", "type", "user_id", "start", "generated", "id", "summary_id", "provider", "reference_id"}

// Compile reads the layout.
func (s Settings) Compile() (*Layout, error) {
	l := &Layout{defaultVersion: safe(s.DefaultVersion), items: s.Content == ContentItem}
	if err := l.read(s.Layout); err != nil {
		return nil, fmt.Errorf("layout: %w", err)
	}
	return l, nil
}

func (l *Layout) read(layout string) error {
	if !utf8.ValidString(layout) || strings.ContainsFunc(layout, unicode.IsControl) || strings.Contains(layout, `\`) {
		return errors.New("control characters, invalid UTF-8 and backslashes cannot be part of a key")
	}
	if layout == "" {
		return errors.New("is empty: the default is " + DefaultLayout)
	}
	if strings.HasPrefix(layout, ".well-known/acme-challenge") {
		return errors.New("GCS takes no keys below .well-known/acme-challenge")
	}
	for folder := range strings.SplitSeq(layout, "/") {
		parts, err := split(folder)
		if err != nil {
			return err
		}
		l.folders = append(l.folders, parts)
	}
	if !slices.ContainsFunc(slices.Concat(l.folders...), func(p part) bool { return p.v.distinct() }) {
		return errors.New("one of {start}, {generated}, {id} and {summary_id} is needed, or every event would go to one key")
	}
	l.cutExtension()
	l.own = l.ownKey()
	if n := l.longest(); n > MaxKey {
		return fmt.Errorf("keys could have %d bytes, which is over the limit of %d: use fewer variables", n, MaxKey)
	}
	return nil
}

// split reads the parts of one folder's name.
func split(folder string) (parts []part, err error) {
	for rest := folder; rest != ""; {
		text, behind, found := strings.Cut(rest, "{")
		if strings.Contains(text, "}") {
			return nil, fmt.Errorf("} without { in %q", folder)
		}
		if text != "" {
			parts = append(parts, part{text: text})
		}
		if !found {
			break
		}
		name, behind, found := strings.Cut(behind, "}")
		if !found {
			return nil, fmt.Errorf("{ without } in %q", folder)
		}
		v := slices.Index(variables[:], name)
		if v <= 0 {
			return nil, fmt.Errorf("{%s} is no variable: use {%s}", name, strings.Join(variables[1:], "}, {"))
		}
		parts = append(parts, part{v: variable(v)})
		rest = behind
	}
	return parts, special(parts)
}

// special says whether the name could be none, or one that means another folder:
// when all variables that may have no value have none.
func special(parts []part) error {
	var name string
	for _, p := range parts {
		if p.v.always() {
			return nil
		}
		name += p.text
	}
	switch {
	case len(parts) == 0:
		return errors.New("a folder without a name: / stands at the beginning, at the end or twice")
	case name == "." || name == "..":
		return fmt.Errorf("a name that could become %s, which is another folder", name)
	}
	return nil
}

// ownKey returns which of an object's keys no other identity can have: the plain
// one where it holds the payload's id, the one with the short suffix where it
// holds type and user, else the one with the long suffix.
func (l *Layout) ownKey() int {
	has := func(v variable) bool {
		return slices.ContainsFunc(slices.Concat(l.folders...), func(p part) bool { return p.v == v })
	}
	switch {
	case has(id):
		return 0
	case has(typ) && has(userID):
		return 1
	}
	return 2
}

// always tells whether v has a value in every event.
func (v variable) always() bool { return v == typ || v.distinct() }

// distinct tells whether v differs from event to event, most of the time: the
// rest is for suffixes.
func (v variable) distinct() bool {
	return v == start || v == generated || v == id || v == summaryID
}

// cutExtension takes the extension off the name, so that suffixes go before it.
func (l *Layout) cutExtension() {
	name := l.folders[len(l.folders)-1]
	last := &name[len(name)-1]
	if dot := strings.IndexByte(last.text, '.'); dot >= 0 && (dot > 0 || len(name) > 1) {
		last.text, l.extension = last.text[:dot], last.text[dot:]
	}
}

// longest returns how long a key can become.
func (l *Layout) longest() int {
	n := len(l.folders) - 1 + len("-") + 64 + len(l.extension)
	for _, parts := range l.folders {
		for _, p := range parts {
			switch p.v {
			case literal:
				n += len(p.text)
			case start, generated:
				n += len(second)
			default:
				n += maxValue
			}
		}
	}
	return n
}

// expand returns the key in two parts, between which a suffix may stand.
func (l *Layout) expand(value func(variable) string) (stem, extension string) {
	var names []string
	for _, parts := range l.folders {
		if name := expandName(parts, value); name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, "/"), l.extension
}

func expandName(parts []part, value func(variable) string) string {
	var name strings.Builder
	missing := false
	for _, p := range parts {
		text := p.text
		if p.v != literal {
			text = value(p.v)
			missing = text == ""
		} else if missing {
			text, missing = strings.TrimPrefix(strings.TrimPrefix(text, "-"), "_"), false
		}
		name.WriteString(text)
	}
	return name.String()
}
