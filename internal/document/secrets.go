package document

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// shown are the engine's keys whose values are no secrets: of the document, of an entry, and of
// its retry. Single values and lists of them are shown. Everything else is hidden, except an
// entry's settings, whose kind says which are secrets.
var (
	shownOfDocument = map[string]bool{"developer": true}
	shownOfEntry    = map[string]bool{
		"name": true, "kind": true, "events": true, "enabled": true, "max_in_flight": true, "rate_limit": true, "timeout": true,
	}
	shownOfRetry = map[string]bool{"initial": true, "factor": true, "retries": true, "waits": true, "jitter": true, "settings": true}
)

// errRead stops the binding of settings once they are read: they are not validated.
var errRead = errors.New("read")

// sorted tells which values of settings are secrets, and which are known to be none.
type sorted struct {
	secret, plain func(*yaml.Node) bool
}

// sortSettings reads settings as their kind does, and ignores what is wrong with them. It knows
// nothing of the settings of an unknown kind.
func sortSettings(settings *yaml.Node, kind string, kinds destination.Registry) sorted {
	b := strictyaml.NewBinder(&strictyaml.Document{}, settings, "")
	if def, known := kinds[kind]; known {
		_, _ = def.Bind(func(into any) error {
			b.Bind(settings, into, "")
			return errRead
		})
	}
	return sorted{b.IsSecret, b.IsPlain}
}

// Redact copies a document with [redacted] in the place of every secret. It also hides what may
// be a secret in the wrong place: the values of unknown keys and kinds, and URLs with
// credentials. References are names, and stay.
func Redact(root *yaml.Node, kinds destination.Registry) *yaml.Node {
	out := clone(root, plain)
	if out.Kind != yaml.MappingNode {
		return hide(out)
	}
	for i := 0; i+1 < len(out.Content); i += 2 {
		key, value := out.Content[i].Value, out.Content[i+1]
		switch {
		case key == "destinations" && value.Kind == yaml.SequenceNode:
			for _, entry := range value.Content {
				RedactEntry(entry, kinds)
			}
		default:
			show(shownOfDocument, key, value)
		}
	}
	return out
}

// RedactEntry is Redact for one destination, which it changes.
func RedactEntry(entry *yaml.Node, kinds destination.Registry) {
	if entry.Kind != yaml.MappingNode {
		hide(entry)
		return
	}
	for i := 0; i+1 < len(entry.Content); i += 2 {
		key, value := entry.Content[i].Value, entry.Content[i+1]
		switch {
		case key == "settings":
			s := sortSettings(value, valueOf(entry, "kind"), kinds)
			each(value, func(n *yaml.Node) {
				if !s.plain(n) || s.secret(n) || credentials(n.Value) {
					hideScalar(n)
				}
			})
		case key == "retry" && value.Kind == yaml.MappingNode:
			for j := 0; j+1 < len(value.Content); j += 2 {
				show(shownOfRetry, value.Content[j].Value, value.Content[j+1])
			}
		default:
			show(shownOfEntry, key, value)
		}
	}
}

// show hides a value unless its key is one of keys and it holds no keys of its own: those would
// be unknown.
func show(keys map[string]bool, key string, n *yaml.Node) {
	nested := func(n *yaml.Node) bool { return n.Kind != yaml.ScalarNode }
	if !keys[key] || n.Kind == yaml.MappingNode || slices.ContainsFunc(n.Content, nested) {
		hide(n)
	}
}

// credentials tells whether a value that should be plain is a URL that holds some.
func credentials(value string) bool {
	_, rest, ok := strings.Cut(value, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return ok && strings.Contains(rest, "@")
}

func each(n *yaml.Node, f func(scalar *yaml.Node)) {
	switch n.Kind {
	case yaml.ScalarNode:
		f(n)
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			each(n.Content[i], f)
		}
	case yaml.SequenceNode:
		for _, e := range n.Content {
			each(e, f)
		}
	}
}

func hide(n *yaml.Node) *yaml.Node {
	each(n, hideScalar)
	return n
}

func hideScalar(n *yaml.Node) {
	if ref, _, err := strictyaml.ParseReference(n.Value); err == nil && ref.Scheme != "" {
		return
	}
	line := n.Line
	*n = *text(secret.Redacted)
	n.Line = line
}

// Keep replaces each [redacted] in doc by the stored value of that secret. old is the document
// that doc is to replace, nil if there is none. A stored secret is kept only while the
// destination leads to the same place; a secret that has to be given again is a fault.
func Keep(doc *strictyaml.Document, old *yaml.Node, kinds destination.Registry) {
	for _, entry := range Destinations(doc.Root) {
		KeepEntry(doc, entry, Destination(old, nameOf(entry)), kinds)
	}
}

// KeepEntry is Keep for one destination of doc; old is nil if there is none of its name.
func KeepEntry(doc *strictyaml.Document, entry, old *yaml.Node, kinds destination.Registry) {
	kind := valueOf(entry, "kind")
	_, settings := strictyaml.Child(entry, "settings")
	if settings == nil {
		return
	}
	k := keeper{doc: doc, label: "destination " + label(nameOf(entry)) + ": ", now: sortSettings(settings, kind, kinds)}
	var before *yaml.Node
	if old != nil {
		if _, before = strictyaml.Child(old, "settings"); before != nil {
			k.then = sortSettings(before, valueOf(old, "kind"), kinds)
			k.moved = valueOf(old, "kind") != kind || !samePlace(settings, before)
		}
	}
	k.walk("settings", settings, before)
}

func label(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || len(name) > 64 {
		return "of that name"
	}
	return name
}

type keeper struct {
	doc       *strictyaml.Document
	label     string
	now, then sorted
	moved     bool
}

// walk goes through what is given and what is stored side by side.
func (k *keeper) walk(path string, n, old *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			var before *yaml.Node
			if old != nil && old.Kind == yaml.MappingNode {
				_, before = strictyaml.Child(old, n.Content[i].Value)
			}
			k.walk(strictyaml.Join(path, strictyaml.QuoteKey(n.Content[i].Value)), n.Content[i+1], before)
		}
	case yaml.SequenceNode:
		for i, e := range n.Content {
			var before *yaml.Node
			if old != nil && old.Kind == yaml.SequenceNode && i < len(old.Content) {
				before = old.Content[i]
			}
			k.walk(strictyaml.Index(path, i), e, before)
		}
	case yaml.ScalarNode:
		k.value(path, n, old)
	}
}

func (k *keeper) value(path string, n, old *yaml.Node) {
	fault := func(why string) { k.doc.Fault(max(n.Line, 1), "%s%s: %s", k.label, path, why) }
	switch stored := old != nil && old.Kind == yaml.ScalarNode; {
	case !strings.Contains(n.Value, secret.Redacted):
	case n.Value != secret.Redacted:
		fault("has " + secret.Redacted + " in it, which stands for a whole secret: give the value itself")
	case !k.now.secret(n):
		fault("is no secret that is kept: give the value itself")
	case !stored || !k.then.secret(old):
		fault("is " + secret.Redacted + ", and no secret is stored here: give it")
	case k.moved:
		fault("is " + secret.Redacted + ", and the destination leads elsewhere now (its kind, scheme, host, port, endpoint, way of TLS, authority or role differs): give the secret again")
	default:
		n.Tag, n.Value, n.Style = old.Tag, old.Value, old.Style
	}
}

// Resolve replaces the references in the secrets of a document by literals of what they stand
// for. A reference that look refuses is a fault.
func Resolve(doc *strictyaml.Document, kinds destination.Registry, look strictyaml.Lookup) {
	for _, entry := range Destinations(doc.Root) {
		_, settings := strictyaml.Child(entry, "settings")
		if settings == nil {
			continue
		}
		s := sortSettings(settings, valueOf(entry, "kind"), kinds)
		each(settings, func(n *yaml.Node) {
			ref, _, err := strictyaml.ParseReference(n.Value)
			if !s.secret(n) || err != nil || ref.Scheme == "" {
				return
			}
			value, err := look(ref)
			if err == nil && !utf8.Valid(value) {
				err = fmt.Errorf("what %s stands for is no text in UTF-8, which a document cannot hold: encode it, as in base64, if the far side can read that", ref)
			}
			if err != nil {
				doc.Fault(max(n.Line, 1), "destination %s: %s", label(nameOf(entry)), err)
				return
			}
			line := n.Line
			*n = *text(strictyaml.Literal(string(value)))
			n.Line = line
		})
	}
}
