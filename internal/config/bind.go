package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// binder fills typed settings from a tree. It compares the tree with the type
// first, because the YAML library's own messages name Go types, quote values
// that may be secrets, and know no near matches.
type binder struct {
	doc     *document
	root    *yaml.Node          // what paths begin at
	prefix  string              // of every message: "destination app: "
	moved   []string            // keys that belong beside settings, for a better message
	secrets map[*yaml.Node]bool // nodes that a secret.Value was filled from
	opaque  []*yaml.Node        // nodes that a type reads by itself
	failed  []string            // paths with faults
	unread  []string            // those of them that have no value therefore
}

func newBinder(doc *document, root *yaml.Node, prefix string) *binder {
	return &binder{doc: doc, root: root, prefix: prefix, secrets: map[*yaml.Node]bool{}}
}

// bind fills into, a pointer, from n, which lies at path.
func (b *binder) bind(n *yaml.Node, into any, path string) {
	before := len(b.failed)
	b.check(n, reflect.TypeOf(into).Elem(), path)
	b.unread = slices.Clone(b.failed)
	if err := read(n, into); err != nil && len(b.failed) == before {
		b.library(n, path, err)
	}
}

// read fills into with the YAML library. Its own check for keys that are there
// twice is quadratic: 1 MiB of keys took it 85 s. The cleaner has done it.
func read(n *yaml.Node, into any) error {
	return n.Load(into, yaml.WithKnownFields(), yaml.WithUniqueKeys(false))
}

var notFound = regexp.MustCompile(`^field (.*) not found in type `)

// library notes what the YAML library found, or a type that reads itself.
func (b *binder) library(n *yaml.Node, path string, err error) {
	all := &yaml.LoadErrors{}
	if one := new(yaml.LoadError); !errors.As(err, &all) && errors.As(err, &one) {
		all.Errors = append(all.Errors, one)
	}
	for _, e := range all.Errors {
		msg := e.Message
		if m := notFound.FindStringSubmatch(msg); m != nil {
			msg = "unknown key" + quoted(m[1])
		} else if e.Unwrap() == nil || strings.HasPrefix(msg, "cannot construct") {
			msg = "has a value of the wrong type"
		}
		b.fault(&yaml.Node{Line: max(e.Mark.Line, n.Line)}, path, "%s", msg)
	}
	if len(all.Errors) == 0 {
		b.fault(n, path, "cannot be read")
	}
}

// at notes something that is wrong with the value at path.
func (b *binder) at(path, format string, args ...any) {
	b.fault(&yaml.Node{Line: lineOf(b.root, path)}, path, format, args...)
}

// ok tells whether nothing was wrong so far with what lies at, below or around
// path: rules about a value that could not be read would only confuse.
func (b *binder) ok(path string) bool {
	return !slices.ContainsFunc(b.failed, func(f string) bool { return within(f, path) || within(path, f) })
}

// shape tells whether the entries of a list were all read, so that the
// positions in the list are those in the file.
func (b *binder) shape(list string) bool {
	return !slices.ContainsFunc(b.unread, func(f string) bool {
		return within(f, list) && !strings.Contains(f[len(list):], ".")
	})
}

// within tells whether path is outer or lies below it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (b *binder) fault(n *yaml.Node, path, format string, args ...any) {
	b.failed = append(b.failed, path)
	msg := b.prefix
	if path != "" {
		msg += path + ": "
	}
	b.doc.fault(max(n.Line, 1), "%s", msg+fmt.Sprintf(format, args...))
}
