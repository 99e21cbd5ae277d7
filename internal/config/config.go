// Package config reads fantail.yaml and the developers' files into an
// immutable Snapshot. It reports every fault at once, with file and line, and
// opens nothing.
package config

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Snapshot is one reading of all settings. Nobody writes to it.
type Snapshot struct {
	Daemon     Daemon
	Keys       *keyring.Ring
	Developers map[string]*Developer // by id; those with faults are missing
	Broken     map[string][]Fault    // developers whose file has faults, by id, which is the name of the file
	// Claimed is for those of Broken whose file names another developer that has no file of their
	// own: by id, the developer that the file names.
	Claimed map[string]string
	Notes   []Fault // what is allowed but deserves to be said: a setting without effect, a token sent in clear
	// Rules and Secrets are what developers' texts were bound with. Another text, of a new
	// developer too, can be bound under them at any time.
	Rules   *Rules
	Secrets *Secrets
	// Identity is a keyed hash of the text of every file read, including files that references
	// name: equal means that nothing changed.
	Identity uint64

	file daemonFile // for Effective
}

// Size counts the developers, and their destinations.
func (s *Snapshot) Size() (developers, destinations int) {
	for _, d := range s.Developers {
		destinations += len(d.Destinations)
	}
	return len(s.Developers), destinations
}

// Find returns a destination, nil if there is none or its developer's file has faults.
func (s *Snapshot) Find(developer, name string) *Destination {
	dev := s.Developers[developer]
	if dev == nil {
		return nil
	}
	i := slices.IndexFunc(dev.Destinations, func(d *Destination) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return dev.Destinations[i]
}

// Developer is one file of the developers' folder.
type Developer struct {
	ID           string
	Destinations []*Destination // in the order of the file
}

// Destination is one entry, bound and ready to open.
type Destination struct {
	Developer   string
	Name        string
	Kind        string
	Events      []string // patterns of types; nil: all
	Enabled     bool
	MaxInFlight int
	Rate        float64 // attempts a second; 0: no limit
	Timeout     time.Duration
	Schedule    retry.Schedule
	Frozen      bool
	Ambient     bool   // may use the operator's own cloud credentials
	Hash        uint64 // fingerprint of what is frozen: kind, settings with their secrets, retry, timeout
	Open        destination.Opener

	// Links and NeedsAmbient are what Open needs: destination.Deps with Payloads, and with Ambient.
	Links, NeedsAmbient bool
	Serial              bool // one process must make all attempts: see destination.Serial

	written *sealable
}

// Matches tells whether the destination wants events of that type.
func (d *Destination) Matches(typ string) bool {
	return d.Events == nil || slices.ContainsFunc(d.Events, func(p string) bool { return matchPattern(p, typ) })
}
