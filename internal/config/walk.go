package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// walkSecrets calls f for every secret in what ptr points to, with its path by the
// keys of YAML. f may replace the value.
func walkSecrets(ptr any, f func(path string, v *secret.Value) error) error {
	return walkValue(reflect.ValueOf(ptr).Elem(), "", f)
}

func walkValue(v reflect.Value, path string, f func(string, *secret.Value) error) error {
	if v.Type() == secretType {
		return f(path, v.Addr().Interface().(*secret.Value))
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() || v.Kind() == reflect.Interface {
			return nil
		}
		return walkValue(v.Elem(), path, f)
	case reflect.Struct:
		if v.Type() == nodeType {
			return nil
		}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			name, flags, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			if name == "" {
				name = strings.ToLower(field.Name)
			}
			at := join(path, name)
			if strings.Contains(flags, "inline") {
				at = path
			}
			if err := walkValue(v.Field(i), at, f); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := walkValue(v.Index(i), fmt.Sprintf("%s[%d]", path, i), f); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(v.MapIndex(k))
			if err := walkValue(e, join(path, fmt.Sprint(k.Interface())), f); err != nil {
				return err
			}
			v.SetMapIndex(k, e)
		}
	}
	return nil
}
