package config

import (
	"encoding/json"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
)

// Changes names the keys in which a destination differs from what it was, sorted. The engine's
// keys have their names, and those of the kind's settings their paths within settings. It names
// no value. A key also counts as changed when what its reference stands for has changed.
func Changes(was, is *Destination) (keys []string) {
	changed := func(key string, differs bool) {
		if differs {
			keys = append(keys, key)
		}
	}
	changed("kind", was.Kind != is.Kind)
	changed("events", !slices.Equal(was.Events, is.Events))
	changed("enabled", was.Enabled != is.Enabled)
	changed("max_in_flight", was.MaxInFlight != is.MaxInFlight)
	changed("rate_limit", was.Rate != is.Rate)
	changed("timeout", was.Timeout != is.Timeout)
	changed("retry", !slices.Equal(was.Schedule.Waits, is.Schedule.Waits) || was.Schedule.Jitter != is.Schedule.Jitter || was.Frozen != is.Frozen)
	changed("ambient", was.Ambient != is.Ambient)
	if was.Hash != is.Hash && was.Kind == is.Kind {
		before, now := map[string]string{}, map[string]string{}
		was.leaves(before)
		is.leaves(now)
		for path, value := range now {
			old, there := before[path]
			changed(path, !there || old != value)
		}
		for path := range before {
			_, there := now[path]
			changed(path, !there)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// leaves enters the single values of the settings of the kind.
func (d *Destination) leaves(into map[string]string) {
	var c core
	if json.Unmarshal(d.written.text, &c) == nil { // it is what settle wrote
		c.Settings.leaves("", c.Refs, into)
	}
}

// leaves enters the single values of a tree by their paths, references resolved.
func (t *tree) leaves(path string, refs map[string][]byte, into map[string]string) {
	switch {
	case t == nil:
	case t.Tag == "!!map":
		for i, key := range t.Keys {
			t.List[i].leaves(strictyaml.Join(path, strictyaml.QuoteKey(key)), refs, into)
		}
	case t.Tag == "!!seq":
		for i, e := range t.List {
			e.leaves(strictyaml.Index(path, i), refs, into)
		}
	default:
		value := t.Text
		if ref, literal, err := strictyaml.ParseReference(t.Text); err == nil {
			value = literal
			if found, ok := refs[ref.String()]; ok && ref.Scheme != "" {
				value = string(found)
			}
		}
		into[path] += value + "\x00" // keys that may not be shown have one name for all
	}
}
