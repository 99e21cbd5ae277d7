package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// tree is a node of YAML, free of position, style and the order of keys: what
// is hashed and frozen.
type tree struct {
	Tag  string   `json:"t"`
	Text string   `json:"v,omitempty"`
	Keys []string `json:"k,omitempty"` // of a mapping, sorted; List holds their values
	List []*tree  `json:"l,omitempty"`
}

func treeOf(n *yaml.Node) *tree {
	t := &tree{Tag: n.ShortTag(), Text: n.Value}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, e := range n.Content {
			t.List = append(t.List, treeOf(e))
		}
	case yaml.MappingNode:
		values := make(map[string]*yaml.Node, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			values[n.Content[i].Value] = n.Content[i+1]
		}
		for _, k := range slices.Sorted(maps.Keys(values)) {
			t.Keys, t.List = append(t.Keys, k), append(t.List, treeOf(values[k]))
		}
	}
	return t
}

// node is the inverse of treeOf.
func (t *tree) node() (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: t.Tag, Value: t.Text, Line: 1}
	switch t.Tag {
	case "!!seq":
		n.Kind = yaml.SequenceNode
	case "!!map":
		n.Kind = yaml.MappingNode
		if len(t.Keys) != len(t.List) {
			return nil, errors.New("keys and values differ in number")
		}
	}
	for i, e := range t.List {
		if e == nil {
			return nil, errors.New("a value is missing")
		}
		if n.Kind == yaml.MappingNode {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t.Keys[i], Line: 1})
		}
		child, err := e.node()
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	return n, nil
}

const frozenFormat = 1

// frozen is what Freeze writes. It needs no file and no variable to be read again.
type frozen struct {
	Format      int             `json:"format"`
	Core        json.RawMessage `json:"core"`
	Events      []string        `json:"events,omitempty"`
	Enabled     bool            `json:"enabled"`
	MaxInFlight int             `json:"max_in_flight"`
	Rate        float64         `json:"rate"`
}

// core is the part that Hash covers. It has the names, so that destinations with equal settings
// do not share what is frozen. It has Ambient although that is set in fantail.yaml: an instance
// opened with the operator's credentials must be replaced when the operator takes them back.
type core struct {
	Developer string            `json:"developer"`
	Name      string            `json:"name"`
	Kind      string            `json:"kind"`
	Settings  *tree             `json:"settings"`
	Refs      map[string][]byte `json:"refs,omitempty"`
	Waits     []time.Duration   `json:"waits"`
	Jitter    float64           `json:"jitter"`
	Timeout   time.Duration     `json:"timeout"`
	Frozen    bool              `json:"frozen"`
	Ambient   bool              `json:"ambient"`
}

// sealable is the text of a core, with secrets in clear: nothing else keeps the settings as they
// were written. It is used behind a pointer, which no print follows.
type sealable struct{ text []byte }

// settle takes over the settings of the kind as they were written, and what their references
// stand for. It sets Hash, which covers the settings with references resolved: it stays the same
// when a file becomes a document, and back.
func (d *Destination) settle(settings *tree, refs map[string][]byte, keys *keyring.Ring) {
	c := core{
		Developer: d.Developer, Name: d.Name, Kind: d.Kind, Settings: settings, Refs: refs,
		Waits: d.Schedule.Waits, Jitter: d.Schedule.Jitter, Timeout: d.Timeout, Frozen: d.Frozen, Ambient: d.Ambient,
	}
	d.written = &sealable{mustJSON(c)}
	c.Settings, c.Refs = settings.resolved(refs), maps.Clone(refs)
	maps.DeleteFunc(c.Refs, func(_ string, value []byte) bool { return utf8.Valid(value) })
	d.Hash = keys.Fingerprint(mustJSON(c))
}

// resolved is a tree with literals in the place of references. A reference to bytes that are no
// text stays, because JSON cannot hold them. The tags of single values are left out: "8" and 8
// are bound to the same value, and so is a time with and without quotes.
func (t *tree) resolved(refs map[string][]byte) *tree {
	if t == nil {
		return nil
	}
	r := &tree{Text: t.Text, Keys: t.Keys}
	if t.Tag == "!!map" || t.Tag == "!!seq" {
		r.Tag = t.Tag
	}
	if ref, _, err := strictyaml.ParseReference(t.Text); err == nil && ref.Scheme != "" {
		if value, ok := refs[ref.String()]; ok && utf8.Valid(value) {
			r.Text = strictyaml.Literal(string(value))
		}
	}
	for _, e := range t.List {
		r.List = append(r.List, e.resolved(refs))
	}
	return r
}

// readCore reads the text of a sealable.
func readCore(text []byte) (c core, err error) {
	if json.Unmarshal(text, &c) != nil || c.Settings == nil {
		return c, errors.New("not what was written") // the error of JSON could quote a secret
	}
	return c, nil
}

// mustJSON encodes a value of our own whose types JSON can always hold.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}

func (d *Destination) freeze() frozen {
	return frozen{frozenFormat, d.written.text, d.Events, d.Enabled, d.MaxInFlight, d.Rate}
}

// Freeze returns the settings with their secrets in clear, for Thaw: seal it before it is stored.
func (d *Destination) Freeze() []byte { return mustJSON(d.freeze()) }

// Thaw builds a destination of what Freeze returned. Its Hash is that of the
// destination that was frozen, under the same keys.
func Thaw(text []byte, kinds destination.Registry, keys *keyring.Ring) (*Destination, error) {
	var f frozen
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, errors.New("read frozen settings: not what was written") // the error could quote a secret
	}
	return f.thaw(kinds, keys)
}

func (f *frozen) thaw(kinds destination.Registry, keys *keyring.Ring) (*Destination, error) {
	c, err := readCore(f.Core)
	if err != nil {
		return nil, fmt.Errorf("read frozen settings: %w", err)
	}
	at := fmt.Sprintf("read frozen settings of %s/%s", c.Developer, c.Name)
	if f.Format != frozenFormat {
		return nil, fmt.Errorf("%s: written by another version", at)
	}
	def, ok := kinds[c.Kind]
	if !ok {
		return nil, fmt.Errorf("%s: kind %s is not part of this program", at, c.Kind)
	}
	settings, err := c.Settings.node()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	doc := &strictyaml.Document{File: at}
	b := newBinder(doc, settings, "")
	d := &Destination{
		Developer: c.Developer, Name: c.Name, Kind: c.Kind,
		Events: f.Events, Enabled: f.Enabled, MaxInFlight: f.MaxInFlight, Rate: f.Rate,
		Timeout: c.Timeout, Schedule: retry.Schedule{Waits: c.Waits, Jitter: c.Jitter},
		Frozen: c.Frozen, Ambient: c.Ambient,
	}
	s := b.settings(def, "", settings, func(r strictyaml.Reference) ([]byte, error) {
		value, ok := c.Refs[r.String()]
		if !ok {
			return nil, fmt.Errorf("the value of %s is missing", r)
		}
		return value, nil
	})
	if s.open == nil {
		return nil, Faults(doc.Faults())
	}
	d.use(s)
	d.settle(c.Settings, s.refs, keys)
	return d, nil
}

// frozenDeveloper is a whole file.
type frozenDeveloper struct {
	Format       int      `json:"format"`
	ID           string   `json:"id"`
	Destinations []frozen `json:"destinations"`
}

// Freeze returns the whole developer with secrets in clear, for ThawDeveloper: the last good settings.
func (d *Developer) Freeze() []byte {
	f := frozenDeveloper{Format: frozenFormat, ID: d.ID}
	for _, dest := range d.Destinations {
		f.Destinations = append(f.Destinations, dest.freeze())
	}
	return mustJSON(f)
}

// ThawDeveloper builds a developer of what Freeze returned.
func ThawDeveloper(text []byte, kinds destination.Registry, keys *keyring.Ring) (*Developer, error) {
	var f frozenDeveloper
	if err := json.Unmarshal(text, &f); err != nil || f.Format != frozenFormat {
		return nil, errors.New("read the last good settings of a developer: written by another version, or damaged")
	}
	dev := &Developer{ID: f.ID}
	var errs []error
	for i := range f.Destinations {
		d, err := f.Destinations[i].thaw(kinds, keys)
		dev.Destinations, errs = append(dev.Destinations, d), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return dev, nil
}
