package config

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store/pgurl"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Store says where events are kept.
type Store struct {
	Pebble   Pebble
	Postgres *Postgres // nil: in the embedded store
}

// Pebble is the embedded store.
type Pebble struct {
	Dir     string // absolute
	Reserve int64  // bytes of the disk kept free: below it nothing is accepted
}

// Postgres is a store that daemons share.
type Postgres struct {
	URLs        []secret.Value // of one database, to be tried in turn
	Connections int            // at most
	Dir         string         // absolute; what this daemon alone knows
	Name        string         // of this daemon; never ""
	More        []Primary      // further databases of the store; what must be one lies in that of URLs
	Advertise   string         // URL at which other daemons reach the API; "": where it listens, if that is one machine's address
}

// Primary is a further database of a store.
type Primary struct {
	Name string
	URLs []secret.Value // of one database, to be tried in turn
}

// Shared tells whether other daemons may use the store, now or later.
func (s *Store) Shared() bool { return s.Postgres != nil }

// Dir is the folder of this daemon's own.
func (s *Store) Dir() string {
	if s.Shared() {
		return s.Postgres.Dir
	}
	return s.Pebble.Dir
}

const (
	defaultConnections = 12
	minConnections     = 6
	maxConnections     = 200
	defaultLocal       = "data/daemon"
	// defaultDelay is how long a daemon that shares its store goes on after it has said that it
	// stops: a balancer that asks every second or two sends its requests elsewhere by then.
	defaultDelay = 5 * time.Second
)

func (f *storeFile) settings(dir string) Store {
	s := Store{Pebble: Pebble{Dir: absolute(dir, f.Pebble.Dir), Reserve: int64(f.Pebble.Reserve)}}
	if p := f.Postgres; p != nil {
		s.Postgres = &Postgres{URLs: slices.Clone(p.URLs), Connections: p.Connections, Dir: absolute(dir, p.Dir)}
		if p.Connections == 0 {
			s.Postgres.Connections = defaultConnections
		}
		if p.Dir == "" {
			s.Postgres.Dir = absolute(dir, defaultLocal)
		}
		if s.Postgres.Name = p.Name; p.Name == "" {
			s.Postgres.Name = hostName()
		}
		s.Postgres.Advertise = advertised(p.Advertise, s.Postgres.Name)
		for _, m := range p.More {
			s.Postgres.More = append(s.Postgres.More, Primary{Name: m.Name, URLs: slices.Clone(m.URLs)})
		}
	}
	return s
}

// advertised puts the name of a daemon into the address that is written for all of them.
func advertised(written, name string) string {
	return strings.TrimSuffix(strings.ReplaceAll(written, "{name}", name), "/")
}

// hostName is what a daemon is called that has no name in its settings.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || !event.ValidName(name) {
		return "fantail"
	}
	return name
}

func (r *daemonRules) store() {
	f := &r.daemon.file.Store
	r.Require("store.pebble.dir", f.Pebble.Dir != "", "must name a folder")
	r.Require("store.pebble.reserve", f.Pebble.Reserve >= 1<<20, "must be at least 1MiB: without free space the store cannot even delete")
	if f.Postgres == nil || !r.OK("store.postgres") {
		return
	}
	if _, pebble := strictyaml.Find(r.root, "store.pebble"); pebble != nil {
		r.At("store", "must hold one of pebble and postgres: that is where events are kept")
	}
	p := f.Postgres
	r.databases("store.postgres.urls", p.URLs)
	r.primaries(p.More)
	if p.Connections != 0 {
		r.Require("store.postgres.connections", p.Connections >= minConnections && p.Connections <= maxConnections,
			fmt.Sprintf("must be from %d to %d", minConnections, maxConnections))
	}
	if p.Name != "" {
		r.Require("store.postgres.name", event.ValidName(p.Name), nameRule)
	}
	if p.Advertise != "" && r.OK("store.postgres.advertise") {
		u, err := url.Parse(advertised(p.Advertise, "name"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			r.At("store.postgres.advertise", "must be http://host:port or https://host:port: that of this daemon's own API, not of the balancer before it")
		}
	}
	if r.daemon.file.Payloads.Dir != nil {
		r.At("payloads.dir", "is the disk of one machine, and the store is not: keep payloads in payloads.s3 or payloads.gcs")
	}
}

// mostPrimaries is how many further databases a store may have.
const mostPrimaries = 16

// primaries checks further databases. That no two are one, the store finds at its start.
func (r *daemonRules) primaries(more []primaryFile) {
	if !r.OK("store.postgres.more") {
		return
	}
	r.Require("store.postgres.more", len(more) <= mostPrimaries, fmt.Sprintf("must list at most %d further databases", mostPrimaries))
	seen := map[string]bool{}
	for i, m := range more {
		path := strictyaml.Index("store.postgres.more", i)
		r.Require(path+".name", event.ValidName(m.Name), nameRule)
		if seen[m.Name] {
			r.At(path+".name", "is the name of another primary, too")
		}
		seen[m.Name] = true
		r.databases(path+".urls", m.URLs)
	}
}

// databases checks the URLs of one database.
func (r *daemonRules) databases(path string, urls []secret.Value) {
	r.Require(path, len(urls) > 0, "must list the URL of the database, as \"${env:FANTAIL_STORE_URL}\" or \"${file:store-url}\"")
	for i, u := range urls {
		path := strictyaml.Index(path, i)
		if !r.OK(path) || u.IsZero() {
			continue
		}
		if _, err := pgurl.Parse(u.Reveal()); err != nil {
			r.At(path, "%s", err)
		}
	}
}
