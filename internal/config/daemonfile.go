package config

import (
	"path/filepath"
	"time"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// defaultKeyFile is the key of a daemon that names none.
const defaultKeyFile = "fantail.key"

// daemonFile is fantail.yaml as it is written.
type daemonFile struct {
	Brand         string                    `yaml:"brand"`
	Listen        string                    `yaml:"listen"`
	TLS           tlsFile                   `yaml:"tls"`
	Tokens        []tokenFile               `yaml:"tokens"`
	Keys          []secret.Value            `yaml:"keys"`
	Developers    developersFile            `yaml:"developers"`
	Store         storeFile                 `yaml:"store"`
	Payloads      payloadsFile              `yaml:"payloads"`
	Console       consoleFile               `yaml:"console"`
	Retention     retentionFile             `yaml:"retention"`
	Idempotency   duration                  `yaml:"idempotency"`
	Egress        egressFile                `yaml:"egress"`
	Ambient       []string                  `yaml:"ambient"`
	Types         map[string]event.DataType `yaml:"types"`
	Notices       noticesFile               `yaml:"notices"`
	Healthcheck   healthcheckFile           `yaml:"healthcheck"`
	Tracing       tracingFile               `yaml:"tracing"`
	Limits        limitsFile                `yaml:"limits"`
	ShutdownDelay duration                  `yaml:"shutdown_delay"`
	ShutdownGrace duration                  `yaml:"shutdown_grace"`
}

type tlsFile struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

type tokenFile struct {
	Name       string       `yaml:"name"`
	Value      secret.Value `yaml:"value"`
	May        []string     `yaml:"may"`
	Developers []string     `yaml:"developers"`
	Rate       rate         `yaml:"rate"`
}

type storeFile struct {
	Pebble   pebbleFile    `yaml:"pebble"`
	Postgres *postgresFile `yaml:"postgres"`
}

type pebbleFile struct {
	Dir     string `yaml:"dir"`
	Reserve size   `yaml:"reserve"`
}

type postgresFile struct {
	URLs        []secret.Value `yaml:"urls"`
	Connections int            `yaml:"connections"`
	Dir         string         `yaml:"dir"`
	Name        string         `yaml:"name"`
	Advertise   string         `yaml:"advertise"`
	More        []primaryFile  `yaml:"more"`
}

type primaryFile struct {
	Name string         `yaml:"name"`
	URLs []secret.Value `yaml:"urls"`
}

type retentionFile struct {
	Events   duration `yaml:"events"`
	Attempts duration `yaml:"attempts"`
	Payloads duration `yaml:"payloads"`
	Changes  duration `yaml:"changes"`
}

type egressFile struct {
	Allow  []network    `yaml:"allow"`
	Deny   []network    `yaml:"deny"`
	Proxy  secret.Value `yaml:"proxy"`
	Source []address    `yaml:"source"`
}

type limitsFile struct {
	Body          size             `yaml:"body"`
	BodyRate      speed            `yaml:"body_rate"`
	InFlight      int              `yaml:"in_flight"`
	InFlightBytes size             `yaml:"in_flight_bytes"`
	Lag           duration         `yaml:"lag"`
	PerDeveloper  perDeveloperFile `yaml:"per_developer"`
}

type perDeveloperFile struct {
	Rate         rate     `yaml:"rate"`
	Pending      int64    `yaml:"pending"`
	Bytes        size     `yaml:"bytes"`
	Destinations int      `yaml:"destinations"`
	Attempts     rate     `yaml:"attempts"`
	ShortestWait duration `yaml:"shortest_wait"`
}

// defaultDaemon has the defaults of keys that are left out. readDaemon sets keys, because an
// empty list of keys differs from one that is left out.
func defaultDaemon() daemonFile {
	return daemonFile{
		Brand:       "terra",
		Listen:      "127.0.0.1:8080",
		Developers:  developersFile{Folder: "developers"},
		Store:       storeFile{Pebble: pebbleFile{Dir: "data/store", Reserve: 512 << 20}},
		Retention:   retentionFile{Events: duration(168 * time.Hour), Attempts: duration(720 * time.Hour), Changes: duration(8760 * time.Hour)},
		Idempotency: duration(48 * time.Hour),
		Limits: limitsFile{
			Body: 32 << 20, BodyRate: 1 << 10, InFlight: 1024, InFlightBytes: 256 << 20, Lag: duration(2 * time.Second),
			PerDeveloper: perDeveloperFile{Destinations: 1000, ShortestWait: duration(time.Second)},
		},
		ShutdownGrace: duration(25 * time.Second),
		Healthcheck:   healthcheckFile{Kinds: []string{"webhook", "sqs"}},
		Tracing:       tracingFile{Sample: 1, Service: "fantail"},
	}
}

// daemon is fantail.yaml as it was read.
type daemon struct {
	file daemonFile
	doc  *strictyaml.Document
	refs map[string][]byte
	dir  string

	catalogue *event.Catalogue
}

// readDaemon reads the text of fantail.yaml. A value with faults keeps its default.
func readDaemon(path string, raw []byte) *daemon {
	dir, err := filepath.Abs(filepath.Dir(path))
	d := &daemon{file: defaultDaemon(), doc: strictyaml.Parse(path, raw), dir: dir, catalogue: event.DefaultCatalogue()}
	if err != nil {
		d.doc.Fault(0, "find the folder of the file: %v", bare(err))
	}
	if d.doc.Root == nil {
		return d
	}
	spellDevelopers(d.doc.Root)
	b := newBinder(d.doc, d.doc.Root, "")
	if _, shared := strictyaml.Find(d.doc.Root, "store.postgres"); shared != nil {
		d.file.ShutdownDelay = duration(defaultDelay)
	}
	b.Bind(d.doc.Root, &d.file, "")
	if _, found := strictyaml.Find(d.doc.Root, "keys"); found == nil {
		d.file.Keys = []secret.Value{secret.New("${file:" + defaultKeyFile + "}")}
	}
	d.refs = b.Resolve(d.doc.Root, &d.file, "", d.lookup())
	(&daemonRules{binder: b, daemon: d}).check()
	return d
}

// note adds a note about something that is allowed.
func (d *daemon) note(path, message string) {
	d.doc.Note(strictyaml.LineOf(d.doc.Root, path), path+": "+message)
}

// settings returns what the rest of the program sees.
func (d *daemon) settings() Daemon {
	f := &d.file
	s := Daemon{
		Brand: f.Brand, Listen: f.Listen,
		Developers: Source{Stored: f.Developers.Store != nil},
		Store:      f.Store.settings(d.dir),
		Retention: Retention{
			Events: time.Duration(f.Retention.Events), Attempts: time.Duration(f.Retention.Attempts),
			Payloads: time.Duration(f.Retention.Payloads), Idempotency: time.Duration(f.Idempotency), Changes: time.Duration(f.Retention.Changes),
		},
		Egress:  Egress{Proxy: f.Egress.Proxy},
		Ambient: f.Ambient, Types: f.Types, Catalogue: d.catalogue,
		Payloads: f.Payloads.settings(d.dir),
		Console:  f.Console.settings(d.dir),
		Limits: Limits{
			Body: int64(f.Limits.Body), BodyRate: float64(f.Limits.BodyRate), InFlight: f.Limits.InFlight, InFlightBytes: int64(f.Limits.InFlightBytes),
			Lag: time.Duration(f.Limits.Lag),
			PerDeveloper: PerDeveloper{
				Rate: float64(f.Limits.PerDeveloper.Rate), Pending: f.Limits.PerDeveloper.Pending, Bytes: int64(f.Limits.PerDeveloper.Bytes),
				Destinations: f.Limits.PerDeveloper.Destinations, Attempts: float64(f.Limits.PerDeveloper.Attempts),
				ShortestWait: time.Duration(f.Limits.PerDeveloper.ShortestWait),
			},
		},
		Notices:       Notices(f.Notices),
		Healthcheck:   Healthcheck{Every: time.Duration(f.Healthcheck.Every), Kinds: f.Healthcheck.Kinds},
		Tracing:       f.Tracing.settings(),
		ShutdownDelay: time.Duration(f.ShutdownDelay),
		ShutdownGrace: time.Duration(f.ShutdownGrace),
		Dir:           d.dir,
	}
	if f.Developers.Store == nil {
		s.Developers.Folder = absolute(d.dir, f.Developers.Folder)
	} else if f.Developers.Store.Import != "" {
		s.Developers.Import = absolute(d.dir, f.Developers.Store.Import)
	}
	if f.TLS.Cert != "" && f.TLS.Key != "" {
		s.TLS = TLS{absolute(d.dir, f.TLS.Cert), absolute(d.dir, f.TLS.Key)}
	}
	for _, t := range f.Tokens {
		s.Tokens = append(s.Tokens, Token{t.Name, t.Value, t.May, t.Developers, float64(t.Rate)})
	}
	for _, n := range f.Egress.Allow {
		s.Egress.Allow = append(s.Egress.Allow, netipPrefix(n))
	}
	for _, n := range f.Egress.Deny {
		s.Egress.Deny = append(s.Egress.Deny, netipPrefix(n))
	}
	for _, a := range f.Egress.Source {
		s.Egress.Source = append(s.Egress.Source, netipAddr(a))
	}
	return s
}
