package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// reference is ${env:NAME} or ${file:path}: the whole value of a secret.
type reference struct{ scheme, name string }

func (r reference) String() string { return r.scheme + ":" + r.name }

// lookup finds what a reference stands for. Its errors name the reference, never what it holds.
type lookup func(reference) ([]byte, error)

// errNobody says that it is not known whose secrets may be looked up. It is no
// fault by itself: what keeps it from being known is one.
var errNobody = errors.New("whose file it is is not known")

var (
	wholeReference = regexp.MustCompile(`^\$\{(env|file):([^{}$]+)\}$`)
	someReference  = regexp.MustCompile(`\$\{(env|file):`)
	envName        = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// parseReference reads the text of a secret: a reference, or else a literal in
// which $${ stands for ${.
func parseReference(text string) (ref reference, literal string, err error) {
	if m := wholeReference.FindStringSubmatch(text); m != nil {
		ref = reference{m[1], m[2]}
		if ref.scheme == "env" && !envName.MatchString(ref.name) {
			return reference{}, "", errors.New("a reference to the environment is written ${env:NAME}")
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
			return reference{}, "", errors.New("a reference is the whole value, ${env:NAME} or ${file:path}, with no text around it; write $${ for ${ in a literal")
		}
		out.WriteString(escaped + "${")
		text = after
	}
	return reference{}, out.String() + text, nil
}

// resolve replaces the references in the secrets of into, which was bound from
// n at path, and returns what they stand for. Secrets with faults keep their text.
func (b *binder) resolve(n *yaml.Node, into any, path string, look lookup) map[string][]byte {
	refs := map[string][]byte{}
	_ = secret.Walk(into, func(at string, v *secret.Value) error {
		if v.IsZero() || b.doc.full {
			return nil
		}
		text := v.Reveal()
		ref, literal, err := parseReference(text)
		if err == nil && ref.scheme != "" {
			var value []byte
			if value, err = look(ref); err == nil {
				refs[ref.String()] = value
				literal = string(value)
			}
		}
		if errors.Is(err, errNobody) {
			b.failed = append(b.failed, join(path, at))
			return nil
		}
		if err != nil {
			b.fault(secretNode(n, at, text), join(path, plainPath(at)), "%s", err.Error())
			return nil
		}
		for _, odd := range oddities(literal) {
			b.doc.note(secretNode(n, at, text).Line, b.prefix+join(path, plainPath(at)), odd)
		}
		*v = secret.New(literal)
		return nil
	})
	b.strayReferences(n, path)
	return refs
}

// secretNode finds where a secret was written.
func secretNode(n *yaml.Node, path, text string) *yaml.Node {
	line, found := find(n, path)
	if found != nil && found.Value == text {
		return found
	}
	var byText *yaml.Node
	eachScalar(n, "", func(_ string, s *yaml.Node) {
		if byText == nil && s.Value == text {
			byText = s
		}
	})
	if byText != nil {
		return byText
	}
	return &yaml.Node{Line: line}
}

// plainPath leaves a path out that has more in it than names: a key may be a secret in the wrong place.
func plainPath(path string) string {
	if len(path) > 200 || strings.Trim(path, namesAndIndexes) != "" {
		return "a key"
	}
	return path
}

const namesAndIndexes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]"

// strayReferences notes references where they have no meaning: sent on as
// text, they would look like a value that nobody wrote.
func (b *binder) strayReferences(n *yaml.Node, path string) {
	if slices.Contains(b.opaque, n) {
		return
	}
	if n.Kind == yaml.ScalarNode && !b.secrets[n] && someReference.MatchString(n.Value) && b.ok(path) {
		b.fault(n, path, "references work in secrets only: write the value itself")
	}
	eachChild(n, path, func(at string, child *yaml.Node) { b.strayReferences(child, at) })
}

func eachScalar(n *yaml.Node, path string, f func(path string, n *yaml.Node)) {
	if n.Kind == yaml.ScalarNode {
		f(path, n)
	}
	eachChild(n, path, func(at string, child *yaml.Node) { eachScalar(child, at, f) })
}

func eachChild(n *yaml.Node, path string, f func(path string, n *yaml.Node)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			f(join(path, quoteKey(n.Content[i].Value)), n.Content[i+1])
		}
	case yaml.SequenceNode:
		for i, e := range n.Content {
			f(fmt.Sprintf("%s[%d]", path, i), e)
		}
	}
}
