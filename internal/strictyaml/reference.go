package strictyaml

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Reference is ${env:NAME} or ${file:path}: the whole value of a secret.
type Reference struct {
	Scheme string // env or file; "": it is none
	Name   string
}

func (r Reference) String() string { return r.Scheme + ":" + r.Name }

// Lookup finds what a reference stands for. Its errors name the reference, never what it holds.
type Lookup func(Reference) ([]byte, error)

// ErrUnresolved is the error of a Lookup that leaves a reference as it is, for a reason reported
// elsewhere. It adds no fault, and the value counts as one that could not be read.
var ErrUnresolved = errors.New("the reference is not resolved")

var (
	wholeReference = regexp.MustCompile(`^\$\{(env|file):([^{}$]+)\}$`)
	someReference  = regexp.MustCompile(`\$\{(env|file):`)
	envName        = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// ParseReference reads the text of a secret: a reference, or else a literal in
// which $${ stands for ${.
func ParseReference(text string) (ref Reference, literal string, err error) {
	if m := wholeReference.FindStringSubmatch(text); m != nil {
		ref = Reference{m[1], m[2]}
		if ref.Scheme == "env" && !envName.MatchString(ref.Name) {
			return Reference{}, "", errors.New("a reference to the environment is written ${env:NAME}")
		}
		return ref, "", nil
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		if !found {
			break
		}
		escaped, ok := strings.CutSuffix(before, "$")
		if !ok {
			return Reference{}, "", errors.New("a reference is the whole value, ${env:NAME} or ${file:path}, with no text around it; write $${ for ${ in a literal")
		}
		out.WriteString(escaped + "${")
		text = after
	}
	return Reference{}, out.String() + text, nil
}

// Resolve replaces the references in the secrets of into, which was bound from
// n at path, and returns what they stand for. Secrets with faults keep their text.
func (b *Binder) Resolve(n *yaml.Node, into any, path string, look Lookup) map[string][]byte {
	refs := map[string][]byte{}
	_ = secret.Walk(into, func(at string, v *secret.Value) error {
		if v.IsZero() || b.doc.full {
			return nil
		}
		text := v.Reveal()
		ref, literal, err := ParseReference(text)
		if err == nil && ref.Scheme != "" {
			var value []byte
			if value, err = look(ref); err == nil {
				refs[ref.String()] = value
				literal = string(value)
			}
		}
		if errors.Is(err, ErrUnresolved) {
			b.failed = append(b.failed, Join(path, at))
			return nil
		}
		if err != nil {
			b.Fault(secretLine(n, at, text), Join(path, plainPath(at)), "%s", err.Error())
			return nil
		}
		for _, odd := range oddities(literal) {
			b.Note(secretLine(n, at, text), Join(path, plainPath(at)), odd)
		}
		*v = secret.New(literal)
		return nil
	})
	b.strayReferences(n, path)
	return refs
}

// secretLine finds where a secret was written.
func secretLine(n *yaml.Node, path, text string) int {
	line, found := Find(n, path)
	if found != nil && found.Value == text {
		return found.Line
	}
	byText := 0
	eachScalar(n, "", func(_ string, s *yaml.Node) {
		if byText == 0 && s.Value == text {
			byText = s.Line
		}
	})
	if byText > 0 {
		return byText
	}
	return line
}

// plainPath drops a path with anything but names in it: a key may be a secret in the wrong place.
func plainPath(path string) string {
	if len(path) > 200 || strings.Trim(path, namesAndIndexes) != "" {
		return "a key"
	}
	return path
}

const namesAndIndexes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]"

// strayReferences adds faults for references where they have no meaning. Sent on as text, they
// would look like a value that nobody wrote.
func (b *Binder) strayReferences(n *yaml.Node, path string) {
	if slices.Contains(b.opaque, n) {
		return
	}
	if n.Kind == yaml.ScalarNode && !b.secrets[n] && someReference.MatchString(n.Value) && b.OK(path) {
		b.Fault(n.Line, path, "references work in secrets only: write the value itself")
	}
	eachChild(n, path, func(at string, child *yaml.Node) { b.strayReferences(child, at) })
}

// EachPlain calls f with every single value in n, which lies at path, that no secret
// was filled from.
func (b *Binder) EachPlain(n *yaml.Node, path string, f func(path string, line int, value string)) {
	eachScalar(n, path, func(path string, s *yaml.Node) {
		if !b.secrets[s] {
			f(path, s.Line, s.Value)
		}
	})
}

// IsSecret tells whether a secret.Value was filled from n.
func (b *Binder) IsSecret(n *yaml.Node) bool { return b.secrets[n] }

// IsPlain tells whether n is a single value that fills something known that is no
// secret. Anything else may be a secret in the wrong place.
func (b *Binder) IsPlain(n *yaml.Node) bool { return b.plain[n] }

func eachScalar(n *yaml.Node, path string, f func(path string, n *yaml.Node)) {
	if n.Kind == yaml.ScalarNode {
		f(path, n)
	}
	eachChild(n, path, func(at string, child *yaml.Node) { eachScalar(child, at, f) })
}
