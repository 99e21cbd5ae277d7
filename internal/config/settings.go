package config

import (
	"errors"
	"regexp"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// engineKeys are often put among the settings of the kind by mistake.
var engineKeys = []string{"events", "enabled", "max_in_flight", "rate_limit", "timeout", "retry"}

// settings binds the settings of the kind, n, and returns how to open the
// destination and what the references stood for; nil when there are faults.
// The kind validates even what was read in part, so that everything that is
// wrong is told at once. An empty brand is not asked about.
func (b *binder) settings(def destination.Definition, brand string, n *yaml.Node, look lookup) (destination.Opener, map[string][]byte) {
	before := len(b.failed)
	var refs map[string][]byte
	b.moved, b.opaque = engineKeys, nil // as a whole the settings were opaque to the engine
	var branded error
	open, err := def.Bind(func(into any) error {
		b.bind(n, into, "settings")
		refs = b.resolve(n, into, "settings", look)
		if c, ok := into.(destination.Branded); ok && brand != "" {
			branded = c.ValidateBrand(brand)
		}
		return nil
	})
	err = errors.Join(err, branded)
	if err != nil {
		b.kindFaults(n, err)
	}
	if len(b.failed) > before || err != nil {
		return nil, nil
	}
	return open, refs
}

var leadingPath = regexp.MustCompile(`^([a-z][a-z0-9_]*(?:[.\[][A-Za-z0-9_.\[\]-]*)?): (.+)$`)

// kindFaults turns the error of a kind's Validate, which may be several
// joined, into faults. A message that begins with the path of a key stands at
// that key's line; about a key that could not be read there is no more to say.
func (b *binder) kindFaults(n *yaml.Node, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			b.kindFaults(n, e)
		}
		return
	}
	msg := err.Error()
	m := leadingPath.FindStringSubmatch(msg)
	if m == nil {
		b.fault(b.settingsNode(), "settings", "%s", msg)
		return
	}
	path := "settings." + m[1]
	if !b.ok(path) {
		return
	}
	node := b.settingsNode()
	if _, first := find(n, firstStep(m[1])); first != nil {
		node = &yaml.Node{Line: lineOf(n, m[1])}
	}
	b.fault(node, path, "%s", m[2])
}

// settingsNode is where a fault stands that is about the settings as a whole.
func (b *binder) settingsNode() *yaml.Node {
	return &yaml.Node{Line: lineOf(b.root, "settings")}
}

var stepEnd = regexp.MustCompile(`[.\[]`)

func firstStep(path string) string { return stepEnd.Split(path, 2)[0] }
