package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/internal/suggest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// noticeNames are the notices that settings may name.
var noticeNames = []string{"destination.held", "destination.resumed", "destination.failing", "delivery.dead", "replay.finished"}

// Notices says who is told of what happens to destinations. The log has all of it in any case.
type Notices struct {
	Destinations []string // developer/destination
	Events       []string // names of notices; nil: all
}

// Healthcheck says which destinations get a healthcheck, and how often.
type Healthcheck struct {
	Every time.Duration // 0: none do
	Kinds []string
}

type noticesFile struct {
	Destinations []string `yaml:"destinations"`
	Events       []string `yaml:"events"`
}

type healthcheckFile struct {
	Every duration `yaml:"every"`
	Kinds []string `yaml:"kinds"`
}

func (r *daemonRules) notices() {
	f := &r.daemon.file.Notices
	r.destinationNames("notices.destinations", f.Destinations)
	r.Require("notices.events", f.Events == nil || len(f.Events) > 0, "is empty: leave it out for all, or remove destinations for none")
	for i, name := range f.Events {
		path := strictyaml.Index("notices.events", i)
		if !slices.Contains(noticeNames, name) {
			r.Require(path, false, "is no notice: "+suggest.Any(name, noticeNames))
		}
		r.Require(path, !slices.Contains(f.Events[:i], name), "is there twice: remove one")
	}
}

func (r *daemonRules) healthcheck() {
	f := &r.daemon.file.Healthcheck
	if f.Every != 0 {
		r.between("healthcheck.every", time.Duration(f.Every), time.Minute, 24*time.Hour)
	}
	r.Require("healthcheck.kinds", len(f.Kinds) > 0, "is empty: for no healthchecks leave out every")
	for i, kind := range f.Kinds {
		r.Require(strictyaml.Index("healthcheck.kinds", i), !slices.Contains(f.Kinds[:i], kind), "is there twice: remove one")
	}
}

// healthcheckKinds refuses kinds that this build does not have. It does not refuse the default,
// which names kinds of the contract: somebody's own build may lack those.
func (d *daemon) healthcheckKinds(kinds destination.Registry) {
	_, section := strictyaml.Find(d.doc.Root, "healthcheck.kinds")
	if section == nil {
		return
	}
	for i, kind := range d.file.Healthcheck.Kinds {
		if _, known := kinds[kind]; !known {
			d.doc.Fault(strictyaml.LineOf(d.doc.Root, strictyaml.Index("healthcheck.kinds", i)), "%s: is no kind: %s", strictyaml.Index("healthcheck.kinds", i), suggest.Any(kind, slices.Sorted(maps.Keys(kinds))))
		}
	}
}

// destinationNames checks a list of developer/destination.
func (r *daemonRules) destinationNames(path string, names []string) {
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		developer, dest, ok := strings.Cut(name, "/")
		at := strictyaml.Index(path, i)
		r.Require(at, ok && event.ValidName(developer) && event.ValidName(dest), "must be developer/destination")
		r.Require(at, !seen[name], "is there twice: remove one")
		seen[name] = true
	}
}
