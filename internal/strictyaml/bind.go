package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Binder fills typed settings from a tree. It compares the tree with the type first, because the
// YAML library's own messages name Go types, quote values that may be secrets, and suggest nothing.
//
// Paths are written as limits.per_developer.rate and tokens[0].may.
type Binder struct {
	doc    *Document
	root   *yaml.Node // what paths begin at
	prefix string     // of every message: "destination app: "

	misplaced []string // keys that belong elsewhere, and what to say of them
	elsewhere string

	secrets map[*yaml.Node]bool // nodes that a secret.Value was filled from
	plain   map[*yaml.Node]bool // nodes that something else was filled from, and could be
	opaque  []*yaml.Node        // nodes that a type reads by itself
	failed  []string            // paths with faults
	unread  []string            // those of them that have no value therefore
}

// NewBinder binds root, a part of doc; every message begins with prefix.
func NewBinder(doc *Document, root *yaml.Node, prefix string) *Binder {
	return &Binder{doc: doc, root: root, prefix: prefix, secrets: map[*yaml.Node]bool{}, plain: map[*yaml.Node]bool{}}
}

// Misplaced sets the answer to unknown keys that belong elsewhere, for what is bound from now on:
// the key's name and message, in place of a guess at what was meant.
func (b *Binder) Misplaced(keys []string, message string) { b.misplaced, b.elsewhere = keys, message }

// Bind fills into, a pointer, from n, which lies at path.
func (b *Binder) Bind(n *yaml.Node, into any, path string) {
	before := len(b.failed)
	b.opaque = nil // what was bound before may have left n to itself
	b.check(n, reflect.TypeOf(into).Elem(), path)
	b.unread = slices.Clone(b.failed)
	if err := read(n, into); err != nil && len(b.failed) == before {
		b.library(n, path, err)
	}
}

// read fills into with the YAML library, without the library's check for repeated keys: that is
// quadratic, and took 85 s for 1 MiB of keys. The cleaner has made that check.
func read(n *yaml.Node, into any) error {
	return n.Load(into, yaml.WithKnownFields(), yaml.WithUniqueKeys(false))
}

var notFound = regexp.MustCompile(`^field (.*) not found in type `)

// library adds the faults that the YAML library, or a type that reads itself, found.
func (b *Binder) library(n *yaml.Node, path string, err error) {
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
		b.Fault(max(e.Mark.Line, n.Line), path, "%s", msg)
	}
	if len(all.Errors) == 0 {
		b.Fault(n.Line, path, "cannot be read")
	}
}

// Fault adds something that is wrong with the value at path, and stands at line.
func (b *Binder) Fault(line int, path, format string, args ...any) {
	b.failed = append(b.failed, path)
	msg := b.prefix
	if path != "" {
		msg += path + ": "
	}
	b.doc.Fault(max(line, 1), "%s", msg+fmt.Sprintf(format, args...))
}

// At is Fault that finds the line.
func (b *Binder) At(path, format string, args ...any) {
	b.Fault(LineOf(b.root, path), path, format, args...)
}

// Require adds a fault unless ok holds or the value had one already.
func (b *Binder) Require(path string, ok bool, message string) {
	if !ok && !b.doc.full && b.OK(path) {
		b.At(path, "%s", message)
	}
}

// Note adds a remark on something that is allowed, unless there are too many.
func (b *Binder) Note(line int, path, message string) {
	if len(b.doc.Notes) < maxFaults {
		b.doc.Note(max(line, 1), b.prefix+path+": "+message)
	}
}

// Failed counts what was wrong so far.
func (b *Binder) Failed() int { return len(b.failed) }

// OK tells whether nothing so far is wrong at, below or around path. Rules about a value that could
// not be read would only confuse.
func (b *Binder) OK(path string) bool {
	return !slices.ContainsFunc(b.failed, func(f string) bool { return within(f, path) || within(path, f) })
}

// Shape tells whether all entries of a list were read, so that positions in the list are those in
// the file.
func (b *Binder) Shape(list string) bool {
	return !slices.ContainsFunc(b.unread, func(f string) bool {
		return within(f, list) && !strings.Contains(f[len(list):], ".")
	})
}

// within tells whether path is outer or lies below it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
