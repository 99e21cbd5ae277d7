package event

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Catalogue says which types are data, and where their items, times and
// identities lie. It is configuration: the engine itself is agnostic to types.
// It never changes and may be used from several goroutines at once.
type Catalogue struct {
	types map[string]*dataType
	given map[string]DataType // what types is made of
}

// DataType is where a data type keeps what keys and rows are made of. Paths
// are member names joined with dots, below an item. Where several are given, the
// first counts that leads to a text that is not empty, or to a number; where a
// name stands twice in an object, the last one counts.
type DataType struct {
	Data     string   `yaml:"data"`     // the member of the body that holds the data: an array of items, or an object, which then is the only item
	Start    []string `yaml:"start"`    // the start of the period
	End      []string `yaml:"end"`      // its end
	Identity []string `yaml:"identity"` // what tells an item from all others of its user and type; none: the user, if the event has no other items
	// DayIdentity takes only the date that the identity begins with, as written: a
	// day is the same day however its start is refined.
	DayIdentity bool `yaml:"day_identity"`
	// EventIdentity: the identity paths are below the body instead of an item.
	EventIdentity bool `yaml:"event_identity"`
}

// DefaultCatalogue returns the data types that public documentation of the data
// contract knows.
func DefaultCatalogue() *Catalogue { return compile(defaultTypes()) }

// NewCatalogue returns the default catalogue with types laid over it; a type
// whose DataType is empty is not data.
func NewCatalogue(types map[string]DataType) (*Catalogue, error) {
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if err := types[name].validate(); err != nil {
			return nil, fmt.Errorf("data type %q: %w", name, err)
		}
	}
	all := defaultTypes()
	maps.Copy(all, types)
	return compile(all), nil
}

// IsData tells whether typ is a data type.
func (c *Catalogue) IsData(typ string) bool { return c.types[typ] != nil }

// Types returns the data types, by name.
func (c *Catalogue) Types() map[string]DataType { return maps.Clone(c.given) }

func defaultTypes() map[string]DataType {
	start, end := []string{"metadata.start_time"}, []string{"metadata.end_time"}
	summarised := DataType{Data: "data", Start: start, End: end, Identity: []string{"metadata.summary_id"}}
	daily := DataType{Data: "data", Start: start, End: end, Identity: start, DayIdentity: true}
	report := DataType{Data: "data", Identity: []string{"event_id"}, EventIdentity: true}
	return map[string]DataType{
		"activity":           summarised,
		"sleep":              summarised,
		"health_observation": summarised,
		"body":               daily,
		"daily":              daily,
		"nutrition":          daily,
		"menstruation":       daily,
		"hormone":            {Data: "data", Start: []string{"timestamp"}, Identity: []string{"timestamp"}},
		"planned_workout": {Data: "data", Start: []string{"planned_date"},
			Identity: []string{"details.metadata.id", "planned_workout_id"}},
		"athlete":              {Data: "athlete"},
		"lab_report.completed": report,
		"lab_report.failed":    report,
	}
}

// dataType is a DataType with its paths as trees and slots of what they find.
type dataType struct {
	top, item            paths
	data, user           int   // slots of top
	summary              int   // slot of item
	start, end, identity []int // slots of item; of top for the identity of the event
	day, ofEvent, ofUser bool  // what the identity is
}

// maxPath is how many names a path may have: each is a level of recursion.
const maxPath = 16

func (d DataType) validate() error {
	paths := slices.Concat(d.Start, d.End, d.Identity)
	switch {
	case d.Data == "" && (len(paths) > 0 || d.DayIdentity || d.EventIdentity):
		return errors.New("data is missing: name the member of the body that holds the items")
	case d.EventIdentity && len(d.Identity) == 0:
		return errors.New("event_identity without identity: name the member of the body that is the identity")
	}
	for _, path := range paths {
		names := strings.Split(path, ".")
		if slices.Contains(names, "") {
			return fmt.Errorf("the path %q has an empty name", path)
		}
		if len(names) > maxPath {
			return fmt.Errorf("the path %q has more than %d names", path, maxPath)
		}
	}
	return nil
}

func compile(types map[string]DataType) *Catalogue {
	c := &Catalogue{types: make(map[string]*dataType, len(types)), given: map[string]DataType{}}
	for name, d := range types {
		if d.Data != "" {
			c.types[name], c.given[name] = d.compile(), d
		}
	}
	return c
}

func (d DataType) compile() *dataType {
	t := &dataType{day: d.DayIdentity, ofEvent: d.EventIdentity, ofUser: len(d.Identity) == 0}
	t.data, t.user = t.top.add(d.Data), t.top.add("user")
	t.top.root.grow(d.Data).list = true
	t.summary = t.item.add("metadata", "summary_id")
	t.start, t.end = t.item.addAll(d.Start), t.item.addAll(d.End)
	if d.EventIdentity {
		t.identity = t.top.addAll(d.Identity)
	} else {
		t.identity = t.item.addAll(d.Identity)
	}
	return t
}
