package strictyaml

import (
	"encoding"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/suggest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var (
	nodeType     = reflect.TypeFor[yaml.Node]()
	secretType   = reflect.TypeFor[secret.Value]()
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	unmarshaler  = reflect.TypeFor[yaml.Unmarshaler]()
	legacy       = reflect.TypeFor[interface {
		UnmarshalYAML(func(any) error) error
	}]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// check compares n, which lies at path, with the type that it will fill.
func (b *Binder) check(n *yaml.Node, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer && !t.Implements(unmarshaler) && !t.Implements(textUnmarshaler) {
		t = t.Elem()
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	ptr := reflect.PointerTo(t)
	switch {
	case t == nodeType:
		b.opaque = append(b.opaque, n)
	case ptr.Implements(unmarshaler), ptr.Implements(legacy):
		b.opaque = append(b.opaque, n)
		if err := read(n, reflect.New(t).Interface()); err != nil {
			b.library(n, path, err)
		}
	case ptr.Implements(textUnmarshaler):
		b.text(n, t, path)
	case t.Kind() == reflect.Struct:
		b.mapping(n, fieldsOf(t), path)
	case t.Kind() == reflect.Map:
		b.anyKeys(n, t.Elem(), path)
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		if n.Kind != yaml.SequenceNode {
			b.Fault(n.Line, path, "must be a list: write [a, b], or one entry a line with - before it")
			return
		}
		for i, e := range n.Content {
			b.check(e, t.Elem(), Index(path, i))
		}
	case t.Kind() == reflect.Interface:
	default:
		b.scalar(n, t, path)
	}
}

func (b *Binder) text(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.ScalarNode {
		b.Fault(n.Line, path, "must be a single value: put quotes around a text that begins with { or [")
		return
	}
	if t == secretType {
		b.secrets[n] = true
		return
	}
	v := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	err := v.UnmarshalText([]byte(n.Value))
	switch {
	case err == nil:
		b.plain[n] = true
	case t == timeType:
		b.Fault(n.Line, path, "must be a time, as 2026-07-01T09:00:00Z")
	case !strings.Contains(t.PkgPath(), "."), strings.Contains(err.Error(), strconv.Quote(n.Value)): // the standard library's types quote
		b.Fault(n.Line, path, "is not a valid %s", strings.ToLower(t.Name()))
	default:
		b.Fault(n.Line, path, "%s", err.Error())
	}
}

func (b *Binder) mapping(n *yaml.Node, fields map[string]reflect.Type, path string) {
	if n.Kind != yaml.MappingNode {
		b.Fault(n.Line, path, "must be a mapping of keys: %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if t, ok := fields[key.Value]; ok {
			b.check(value, t, Join(path, key.Value))
			continue
		}
		if b.doc.full {
			return
		}
		if slices.Contains(b.misplaced, key.Value) {
			b.stray(key, path, QuoteKey(key.Value)+" "+b.elsewhere)
			continue
		}
		b.stray(key, path, "unknown key"+quoted(key.Value)+": "+suggest.Any(key.Value, slices.Sorted(maps.Keys(fields))))
	}
}

// stray adds a fault for a key that does not belong to the mapping at path. The message names no
// neighbouring keys.
func (b *Binder) stray(key *yaml.Node, path, message string) {
	b.Fault(key.Line, path, "%s", message)
	b.failed[len(b.failed)-1] = Join(path, key.Value)
}

// anyKeys checks the values of a mapping whose keys are free.
func (b *Binder) anyKeys(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.MappingNode {
		b.Fault(n.Line, path, "must be a mapping")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		b.check(n.Content[i+1], t, Join(path, QuoteKey(n.Content[i].Value)))
	}
}

func (b *Binder) scalar(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind == yaml.ScalarNode && (isNull(n) || n.Load(reflect.New(t).Interface()) == nil) {
		b.plain[n] = true
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
	b.Fault(n.Line, path, "must be %s", want)
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

// quoted returns the key to put behind "unknown key", or nothing when it may not be shown.
func quoted(key string) string {
	if keyLike.MatchString(key) {
		return " " + key
	}
	return ""
}
