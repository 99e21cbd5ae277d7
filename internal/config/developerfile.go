package config

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/internal/suggest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// developerFile is one file of the developers' folder, as it is written.
type developerFile struct {
	Developer    string      `yaml:"developer"`
	Destinations []yaml.Node `yaml:"destinations"`
}

// destinationEntry is one of its destinations.
type destinationEntry struct {
	Name        string     `yaml:"name"`
	Kind        string     `yaml:"kind"`
	Events      []string   `yaml:"events"`
	Enabled     *bool      `yaml:"enabled"`
	MaxInFlight *int       `yaml:"max_in_flight"`
	RateLimit   rate       `yaml:"rate_limit"`
	Timeout     *duration  `yaml:"timeout"`
	Retry       retryEntry `yaml:"retry"`
	Settings    yaml.Node  `yaml:"settings"` // the kind's own
}

// Defaults and bounds of a destination.
const (
	defaultInFlight = 16
	defaultTimeout  = 30 * time.Second // of a kind that names none
	minTimeout      = 10 * time.Millisecond
	maxTimeout      = time.Hour
	maxPatterns     = 256
)

// bind binds the destinations of the file; nil when it has faults. Its result must not be used
// when ctx has ended.
func (t *tenant) bind(ctx context.Context, r *Rules) *Developer {
	if t.doc.Root == nil {
		return nil
	}
	dev := &Developer{ID: t.id}
	named := map[string]int{}
	_, list := strictyaml.Find(t.doc.Root, "destinations")
	if most := r.Destinations; list != nil && len(list.Content) > most && list.Kind == yaml.SequenceNode {
		t.doc.Fault(strictyaml.LineOf(t.doc.Root, "destinations"), "destinations: there are %d, and limits.per_developer.destinations of fantail.yaml is %d: remove some, or raise that", len(list.Content), most)
	} else if list != nil && list.Kind == yaml.SequenceNode {
		for i, n := range list.Content {
			if t.doc.Full() || ctx.Err() != nil {
				break
			}
			if d := t.destination(r, i, n, named); d != nil {
				dev.Destinations = append(dev.Destinations, d)
			}
		}
	}
	if !t.doc.Sound() {
		return nil
	}
	t.noteHasty(r.ShortestWait)
	return dev
}

func (t *tenant) destination(r *Rules, i int, n *yaml.Node, named map[string]int) *Destination {
	label := "destination " + strconv.Itoa(i+1) + ": "
	if _, name := strictyaml.Child(n, "name"); name != nil && event.ValidName(name.Value) {
		label = "destination " + name.Value + ": "
	}
	b := newBinder(t.doc, n, label)
	var e destinationEntry
	b.Bind(n, &e, "")
	if n.Kind != yaml.MappingNode {
		return nil
	}
	b.Require("name", e.Name != "", "is missing")
	b.Require("name", event.ValidName(e.Name), nameRule)
	if line := named[e.Name]; line > 0 {
		b.Require("name", false, "another destination has this name: see line "+strconv.Itoa(line))
	} else if e.Name != "" {
		named[e.Name] = strictyaml.LineOf(n, "name")
	}
	def, known := r.kinds[e.Kind]
	if !known && b.OK("kind") {
		b.At("kind", "%s", unknownKind(e.Kind, r.kinds))
	}
	d := &Destination{
		Developer: t.id, Name: e.Name, Kind: def.Kind, Events: e.Events,
		Enabled:     e.Enabled == nil || *e.Enabled,
		MaxInFlight: min(defaultInFlight, r.InFlight),
		Rate:        float64(e.RateLimit),
		Timeout:     def.Traits.Timeout,
		Frozen:      def.Traits.Frozen,
		Ambient:     r.lends(t.id, e.Name),
	}
	if e.MaxInFlight != nil {
		d.MaxInFlight = *e.MaxInFlight
		b.Require("max_in_flight", d.MaxInFlight >= 1 && d.MaxInFlight <= r.InFlight,
			"must be from 1 to limits.in_flight of fantail.yaml, "+strconv.Itoa(r.InFlight))
	}
	if e.Timeout != nil {
		d.Timeout = time.Duration(*e.Timeout)
		b.between("timeout", d.Timeout, minTimeout, maxTimeout)
	} else if d.Timeout == 0 {
		d.Timeout = defaultTimeout
	}
	b.patterns(e.Events)
	var hasty bool
	d.Schedule, d.Frozen, hasty = b.schedule(&e.Retry, d.Frozen, r)
	if hasty {
		if t.hasty = append(t.hasty, e.Name); len(t.hasty) == 1 {
			t.hastyAt = strictyaml.LineOf(n, "retry")
		}
	}
	if !known {
		return nil
	}
	_, settings := strictyaml.Find(n, "settings")
	if settings == nil {
		settings = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line}
	}
	s := b.settings(def, r.Brand, settings, t.lookup())
	if s.open == nil {
		return nil
	}
	if s.links && !r.KeepPayloads {
		b.At("kind", "%s links to payloads, and fantail.yaml does not say where they are kept: write there, with the address at which consumers reach the daemon: payloads: { dir: { path: data/payloads, public_url: https://events.example.com } }, or name a bucket (s3, gcs); or one of the destination's own in settings.payloads", e.Kind)
	}
	if s.ambient && !d.Ambient {
		b.At("settings", "name no credentials; the operator's own are used only where ambient of fantail.yaml lists %s/%s", t.id, e.Name)
	}
	b.remarkPatterns(e.Events, r)
	b.remarkFars(s.fars, r)
	d.use(s)
	d.settle(treeOf(settings), s.refs, r.keys)
	return d
}

// use takes over what came of the settings of the kind.
func (d *Destination) use(s bound) {
	d.Open, d.Links, d.NeedsAmbient, d.Serial = s.open, s.links, s.ambient, s.serial
}

func unknownKind(kind string, kinds destination.Registry) string {
	if kind == "" {
		return "is missing: " + suggest.Any("", slices.Sorted(maps.Keys(kinds)))
	}
	return "is no kind of destination: " + suggest.Any(kind, slices.Sorted(maps.Keys(kinds)))
}

// patterns checks the list of events.
func (b *binder) patterns(events []string) {
	if _, found := strictyaml.Find(b.root, "events"); found == nil || !b.Shape("events") {
		return
	}
	b.Require("events", len(events) > 0, "is empty: leave it out for all events, or set enabled: false")
	if len(events) > maxPatterns {
		b.At("events", "has more than %d entries: use patterns with *", maxPatterns)
		return
	}
	for i, p := range events {
		path := strictyaml.Index("events", i)
		b.Require(path, p != "" && len(p) <= 128 && !strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '$' }),
			"must be a type of events, or a pattern with * as lab_report.*, without spaces and at most 128 bytes long")
		b.Require(path, !slices.Contains(events[:i], p), "is there twice: remove one")
	}
}
