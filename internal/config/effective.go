package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Effective returns the settings of fantail.yaml that are in force: every key with its value or
// default, as YAML is decoded. In the place of a secret it says that there is one.
func (s *Snapshot) Effective() map[string]any {
	all, _ := effective(reflect.ValueOf(s.file)).(map[string]any)
	return all
}

// Effective returns the settings of a destination that are in force, those of its kind too,
// without secrets. kinds must be those that the settings were read with.
func (d *Destination) Effective(kinds destination.Registry) (map[string]any, error) {
	all := map[string]any{
		"name": d.Name, "kind": d.Kind, "enabled": d.Enabled, "max_in_flight": d.MaxInFlight, "timeout": short(d.Timeout),
		"retry": map[string]any{"settings": map[bool]string{true: "frozen", false: "current"}[d.Frozen], "waits": waits(d.Schedule.Waits), "jitter": d.Schedule.Jitter},
	}
	if d.Events != nil {
		all["events"] = d.Events
	}
	if d.Rate > 0 {
		all["rate_limit"] = perSecond(d.Rate)
	}
	settings, err := d.own(kinds)
	if err != nil {
		return nil, err
	}
	all["settings"] = settings
	return all, nil
}

// own reads the kind's settings again, because their types say which values are secrets.
func (d *Destination) own(kinds destination.Registry) (any, error) {
	def, known := kinds[d.Kind]
	if !known {
		return nil, fmt.Errorf("show the settings of %s/%s: kind %s is not part of this program", d.Developer, d.Name, d.Kind)
	}
	written, err := readCore(d.written.text)
	if err != nil {
		return nil, fmt.Errorf("show the settings of %s/%s: %w", d.Developer, d.Name, err)
	}
	n, err := written.Settings.node()
	if err != nil {
		return nil, fmt.Errorf("show the settings of %s/%s: %w", d.Developer, d.Name, err)
	}
	var shown any
	_, err = def.Bind(func(into any) error {
		b := newBinder(&strictyaml.Document{File: d.Name}, n, "")
		b.Bind(n, into, "settings")
		shown = effective(reflect.ValueOf(into)) // before it is judged: references stand in it, and secrets do not
		b.Resolve(n, into, "settings", func(r strictyaml.Reference) ([]byte, error) { return written.Refs[r.String()], nil })
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("show the settings of %s/%s: they are not what was read", d.Developer, d.Name) // the error could quote a secret
	}
	return shown, nil
}

func waits(all []time.Duration) []string {
	texts := make([]string, len(all))
	for i, w := range all {
		texts[i] = short(w)
	}
	return texts
}

func perSecond(rate float64) string { return strconv.FormatFloat(rate, 'g', -1, 64) + "/s" }

// effective translates a value by its type. A secret is replaced by a word that says so; a
// secret that is not set is left out.
func effective(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	switch x := v.Interface().(type) {
	case secret.Value:
		if x.IsZero() {
			return nil
		}
		return secret.Redacted
	case yaml.Node:
		return nil
	case duration:
		return short(time.Duration(x))
	case time.Duration:
		return short(x)
	case time.Time:
		if x.IsZero() {
			return nil
		}
		return x.Format(time.RFC3339)
	case rate:
		return perSecond(float64(x))
	case speed:
		return strconv.FormatInt(int64(x), 10) + "B/s"
	case network:
		return netip.Prefix(x).String()
	case address:
		return netip.Addr(x).String()
	case encoding.TextMarshaler:
		if v.IsZero() {
			return nil
		}
		text, err := x.MarshalText()
		if err != nil {
			return nil
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return effective(v.Elem())
	case reflect.Struct:
		all := map[string]any{}
		effectiveFields(v, all)
		return all
	case reflect.Map:
		all := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			all[fmt.Sprint(it.Key().Interface())] = effective(it.Value())
		}
		return all
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		all := make([]any, v.Len())
		for i := range all {
			all[i] = effective(v.Index(i))
		}
		return all
	}
	return v.Interface()
}

func effectiveFields(v reflect.Value, into map[string]any) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, flags, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case !field.IsExported(), name == "-":
		case flags == "inline":
			effectiveFields(v.Field(i), into)
		case name == "":
		default:
			if value := effective(v.Field(i)); value != nil {
				into[name] = value
			}
		}
	}
}
