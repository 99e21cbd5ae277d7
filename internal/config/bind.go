package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var (
	nodeType     = reflect.TypeFor[yaml.Node]()
	secretType   = reflect.TypeFor[secret.Value]()
	durationType = reflect.TypeFor[time.Duration]()
	unmarshaler  = reflect.TypeFor[yaml.Unmarshaler]()
	legacy       = reflect.TypeFor[interface {
		UnmarshalYAML(func(any) error) error
	}]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
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
	// The library's own check for keys that are there twice is quadratic: 1 MiB
	// of keys took it 85 s. The cleaner has done it.
	err := n.Load(into, yaml.WithKnownFields(), yaml.WithUniqueKeys(false))
	if err == nil || len(b.failed) > before {
		return
	}
	all := &yaml.LoadErrors{}
	if one := new(yaml.LoadError); !errors.As(err, &all) && errors.As(err, &one) {
		all.Errors = append(all.Errors, one)
	}
	for _, e := range all.Errors {
		msg := e.Message
		if e.Unwrap() == nil || strings.HasPrefix(msg, "cannot construct") {
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

func (b *binder) check(n *yaml.Node, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer && !t.Implements(unmarshaler) && !t.Implements(textUnmarshaler) {
		t = t.Elem()
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	ptr := reflect.PointerTo(t)
	switch {
	case t == nodeType, ptr.Implements(unmarshaler), ptr.Implements(legacy):
		b.opaque = append(b.opaque, n)
	case ptr.Implements(textUnmarshaler):
		b.text(n, t, path)
	case t.Kind() == reflect.Struct:
		b.mapping(n, fieldsOf(t), path)
	case t.Kind() == reflect.Map:
		b.anyKeys(n, t.Elem(), path)
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		if n.Kind != yaml.SequenceNode {
			b.fault(n, path, "must be a list: write [a, b], or one entry a line with - before it")
			return
		}
		for i, e := range n.Content {
			b.check(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	case t.Kind() == reflect.Interface:
	default:
		b.scalar(n, t, path)
	}
}

func (b *binder) text(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.ScalarNode {
		b.fault(n, path, "must be a single value: put quotes around a text that begins with { or [")
		return
	}
	if t == secretType {
		b.secrets[n] = true
		return
	}
	v := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	if err := v.UnmarshalText([]byte(n.Value)); err != nil {
		b.fault(n, path, "%s", err.Error())
	}
}

func (b *binder) mapping(n *yaml.Node, fields map[string]reflect.Type, path string) {
	if n.Kind != yaml.MappingNode {
		b.fault(n, path, "must be a mapping of keys: %s", strings.Join(sortedKeys(fields), ", "))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if t, ok := fields[key.Value]; ok {
			b.check(value, t, join(path, key.Value))
			continue
		}
		if b.doc.full {
			return
		}
		if slices.Contains(b.moved, key.Value) {
			b.stray(key, path, quoteKey(key.Value)+" is a key of the destination, not of its settings: move it one level up")
			continue
		}
		b.stray(key, path, "unknown key"+quoted(key.Value)+": "+suggest(key.Value, sortedKeys(fields)))
	}
}

// stray notes a key that does not belong into the mapping at path. Of its
// neighbours it says nothing.
func (b *binder) stray(key *yaml.Node, path, message string) {
	b.fault(key, path, "%s", message)
	b.failed[len(b.failed)-1] = join(path, key.Value)
}

// anyKeys checks the values of a mapping whose keys are free.
func (b *binder) anyKeys(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.MappingNode {
		b.fault(n, path, "must be a mapping")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		b.check(n.Content[i+1], t, join(path, quoteKey(n.Content[i].Value)))
	}
}

func (b *binder) scalar(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind == yaml.ScalarNode && (isNull(n) || n.Load(reflect.New(t).Interface()) == nil) {
		return // an empty value is a fault already
	}
	want := "a text"
	switch t.Kind() {
	case reflect.Bool:
		want = "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		want = "a whole number"
		if t == durationType {
			want = "a duration: 500ms, 30s, 5m or 168h"
		}
	case reflect.Float32, reflect.Float64:
		want = "a number"
	}
	b.fault(n, path, "must be %s", want)
}

// fieldsOf returns the keys that the YAML library fills in a struct.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		name, flags, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if strings.Contains(flags, "inline") {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				for k, v := range fieldsOf(inner) {
					fields[k] = v
				}
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		fields[name] = f.Type
	}
	return fields
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
