package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Rules are what developers' texts are judged by. Besides the text, and what its references
// stand for, binding depends on nothing else. Rules hold nothing else of fantail.yaml, so that
// any other change leaves what is bound as it is. Rules do not change.
type Rules struct {
	ruling
	kinds   destination.Registry
	keys    *keyring.Ring       // for fingerprints
	ambient map[string][]string // developer: their destinations that ambient lists, sorted
	stamp   string              // of ruling and the key that makes fingerprints
}

// ruling is the part of fantail.yaml that concerns every developer.
type ruling struct {
	Brand        string
	Listen       string
	PublicURL    string // of the embedded payload store; "": another, or none
	KeepPayloads bool
	InFlight     int
	Destinations int // of one developer
	ShortestWait time.Duration
	Keep         Retention // Events and Idempotency
	Allow, Deny  []netip.Prefix
	Types        []string // of fantail.yaml, sorted
}

// rules returns the part of fantail.yaml that developers' texts are judged by.
func (d *Daemon) rules(kinds destination.Registry, keys *keyring.Ring) *Rules {
	r := &Rules{kinds: kinds, keys: keys, ambient: map[string][]string{}, ruling: ruling{
		Brand: d.Brand, Listen: d.Listen, KeepPayloads: d.Payloads.Kept(),
		InFlight: d.Limits.InFlight, Destinations: d.Limits.PerDeveloper.Destinations, ShortestWait: d.Limits.PerDeveloper.ShortestWait,
		Keep:  Retention{Events: d.Retention.Events, Idempotency: d.Retention.Idempotency},
		Allow: d.Egress.Allow, Deny: d.Egress.Deny,
	}}
	if d.Payloads.Dir != nil {
		r.PublicURL = d.Payloads.Dir.PublicURL
	}
	for typ := range d.Types {
		r.Types = append(r.Types, typ)
	}
	slices.Sort(r.Types)
	for _, listed := range d.Ambient {
		developer, name, _ := strings.Cut(listed, "/")
		r.ambient[developer] = append(r.ambient[developer], name)
	}
	for _, names := range r.ambient {
		slices.Sort(names)
	}
	r.stamp = string(mustJSON(struct {
		Rules ruling
		Keys  uint64
	}{r.ruling, keys.Fingerprint([]byte("rules"))}))
	return r
}

// lends tells whether ambient lists a destination.
func (r *Rules) lends(developer, name string) bool {
	return slices.Contains(r.ambient[developer], name)
}

// same tells whether a text of the developer means the same under the other rules.
func (r *Rules) same(other *Rules, developer string) bool {
	return r.stamp == other.stamp && slices.Compare(r.ambient[developer], other.ambient[developer]) == 0
}
