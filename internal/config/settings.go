package config

import (
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// engineKeys are keys of a destination that people often put among the settings of its kind.
var engineKeys = []string{"events", "enabled", "max_in_flight", "rate_limit", "timeout", "retry"}

// bound is what came of the settings of a kind.
type bound struct {
	open    destination.Opener
	refs    map[string][]byte // what the references stood for
	links   bool              // needs the operator's payload store
	ambient bool              // needs the operator's own credentials
	serial  bool              // one process must make all attempts
	fars    []far             // where it leads to
}

// settings binds the settings of the kind, n; its open is nil when there are faults. The kind
// validates even settings that were read in part, so that all faults are told at once. With an
// empty brand the kind is not asked about the brand.
func (b *binder) settings(def destination.Definition, brand string, n *yaml.Node, look strictyaml.Lookup) bound {
	before := b.Failed()
	var s bound
	b.Misplaced(engineKeys, "is a key of the destination, not of its settings: move it one level up")
	var branded error
	var notes []string
	open, err := def.Bind(func(into any) error {
		b.Bind(n, into, "settings")
		s.refs = b.Resolve(n, into, "settings", look)
		if c, ok := into.(destination.Branded); ok && brand != "" {
			branded = c.ValidateBrand(brand)
		}
		if b.Failed() > before {
			return nil // what could not be read needs nothing
		}
		if c, ok := into.(destination.Ambienter); ok {
			s.ambient = c.NeedsAmbient()
		}
		if c, ok := into.(destination.Serial); ok {
			s.serial = c.Serial()
		}
		s.fars = b.fars(n, into)
		if c, ok := into.(destination.Noter); ok {
			notes = c.Notes()
		}
		owner, ok := into.(destination.PayloadOwner)
		s.links = def.Traits.Links && !(ok && owner.OwnPayloads())
		return nil
	})
	if err = errors.Join(err, branded); err != nil {
		b.kindFaults(n, "settings", err)
	}
	if b.Failed() == before && err == nil {
		s.open = open
		for _, note := range notes {
			path, message, _ := strings.Cut(note, ": ")
			b.Note(strictyaml.LineOf(n, path), strictyaml.Join("settings", path), message)
		}
	}
	return s
}

var leadingPath = regexp.MustCompile(`^([a-z][a-z0-9_]*(?:[.\[][A-Za-z0-9_.\[\]-]*)?): (.+)$`)

// kindFaults turns the error that Validate returned for n, at path, into faults; it may be
// several joined. A message that begins with the path of a key gets that key's line. A message
// about a key that could not be read is dropped, because that fault is told already.
func (b *binder) kindFaults(n *yaml.Node, path string, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			b.kindFaults(n, path, e)
		}
		return
	}
	msg := err.Error()
	line := strictyaml.LineOf(b.root, path)
	m := leadingPath.FindStringSubmatch(msg)
	if m == nil {
		b.Fault(line, path, "%s", msg)
		return
	}
	at := path + "." + m[1]
	if !b.OK(at) {
		return
	}
	if _, first := strictyaml.Find(n, firstStep(m[1])); first != nil {
		line = strictyaml.LineOf(n, m[1])
	} else if key, dsn := strictyaml.Child(n, "dsn"); dsn != nil { // the dsn stands for the missing keys: mend that
		line = key.Line
	}
	b.Fault(line, at, "%s", m[2])
}

var stepEnd = regexp.MustCompile(`[.\[]`)

func firstStep(path string) string { return stepEnd.Split(path, 2)[0] }
