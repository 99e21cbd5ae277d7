package replay

import "slices"

// Target is a destination of the settings.
type Target struct {
	ID        uint32
	Developer string
	Name      string
	Matches   func(typ string) bool // its events filter
}

// Targets are the destinations of the settings in force. They are immutable; a
// reload swaps them whole.
type Targets struct {
	byID        map[uint32]*Target
	byDeveloper map[string][]*Target
}

// NewTargets indexes the destinations of the settings.
func NewTargets(list []Target) *Targets {
	t := &Targets{byID: make(map[uint32]*Target, len(list)), byDeveloper: map[string][]*Target{}}
	for i := range list {
		d := &list[i]
		t.byID[d.ID] = d
		t.byDeveloper[d.Developer] = append(t.byDeveloper[d.Developer], d)
	}
	return t
}

// meant returns the ids of the destinations that a filter means, nil for all.
func (t *Targets) meant(f *Filter) (ids []uint32, err error) {
	if f.Developer == "" {
		return nil, nil
	}
	for _, d := range t.byDeveloper[f.Developer] {
		if f.Destination == "" || d.Name == f.Destination {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) == 0 {
		return nil, ErrUnknown
	}
	return ids, nil
}

// wants tells whether a replay sends events of that type to d. A filter that names both a
// destination and types, or events one by one, gets just those. Otherwise a destination gets only types that it has
// subscribed to.
func (f *Filter) wants(d *Target, typ string) bool {
	if len(f.Types) == 0 {
		return len(f.Events) > 0 && f.Destination != "" || d.Matches(typ)
	}
	return slices.Contains(f.Types, typ) && (f.Destination != "" || d.Matches(typ))
}
