package secret

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Walk calls f with every Value inside of what ptr, a pointer, points to: in
// structs, pointers, slices, arrays, maps and interfaces, however deep. f may
// set the Value. Each is visited once, even if several pointers lead to it, so
// that a text that f puts there is never given to f again.
//
// path names the Value as the settings' file does: yaml tags, or the field's
// name in lower case, with a full stop between, indexes in brackets:
// "headers.Authorization", "servers[2].password". Structs that are inlined add
// nothing. Fields that yaml does not bind, unexported or with the tag "-", are
// not visited; nor are keys of maps.
//
// Walk visits everything and returns all errors of f joined, each with its path
// before it, fields in their order and maps sorted by key.
func Walk(ptr any, f func(path string, v *Value) error) error {
	v := reflect.ValueOf(ptr)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("walk secrets: want a pointer, have %T", ptr)
	}
	w := walker{f: f, seen: map[visit]bool{}}
	w.walk("", v)
	return errors.Join(w.errs...)
}

type walker struct {
	f    func(path string, v *Value) error
	seen map[visit]bool
	errs []error
}

// visit is a pointer that was followed. The type is part of it because a
// struct and its first field share an address.
type visit struct {
	at  uintptr
	typ reflect.Type
}

func (w *walker) walk(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			w.walk(path, v.Elem())
		}
	case reflect.Struct:
		w.structure(path, v)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			w.walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Map:
		w.mapping(path, v)
	case reflect.Interface:
		if !v.IsNil() {
			w.copied(path, v.Elem(), v.Set)
		}
	}
}

func (w *walker) structure(path string, v reflect.Value) {
	here := visit{v.Addr().Pointer(), v.Type()}
	if w.seen[here] {
		return
	}
	w.seen[here] = true
	if value, ok := v.Addr().Interface().(*Value); ok {
		if err := w.f(path, value); err != nil {
			w.errs = append(w.errs, prefixed(path, err))
		}
		return
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case !field.IsExported() || name == "-":
		case slices.Contains(strings.Split(options, ","), "inline"):
			w.walk(path, v.Field(i))
		default:
			w.walk(join(path, cmp.Or(name, strings.ToLower(field.Name))), v.Field(i))
		}
	}
}

func (w *walker) mapping(path string, v reflect.Value) {
	here := visit{v.Pointer(), v.Type()}
	if w.seen[here] {
		return
	}
	w.seen[here] = true
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for _, key := range keys {
		w.copied(join(path, fmt.Sprint(key)), v.MapIndex(key), func(c reflect.Value) { v.SetMapIndex(key, c) })
	}
}

// copied walks a copy of v, which cannot be changed in its place, and puts the
// copy there.
func (w *walker) copied(path string, v reflect.Value, set func(reflect.Value)) {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	w.walk(path, c)
	set(c)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func prefixed(path string, err error) error {
	if path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}
