// Package config reads fantail.yaml and the developers' files into an
// immutable Snapshot. It reports every fault at once, with file and line, and
// opens nothing.
package config

import (
	"net/netip"
	"time"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Snapshot is one reading of all settings. Nobody writes to it.
type Snapshot struct {
	Daemon     Daemon
	Keys       *keyring.Ring
	Developers map[string]*Developer // by id; those with faults are missing
	Broken     map[string][]Fault    // developers whose file has faults, by id (or by the file's name when the id cannot be read)
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
}

// Matches tells whether the destination wants events of that type.
func (d *Destination) Matches(typ string) bool { panic("being written") }

// Freeze returns the settings with their secrets in clear, for Thaw: seal it before it is stored.
func (d *Destination) Freeze() []byte { panic("being written") }

// Thaw builds a destination of what Freeze returned.
func Thaw(frozen []byte, kinds destination.Registry, keys *keyring.Ring) (*Destination, error) {
	panic("being written")
}

// Freeze returns the whole developer with secrets in clear, for ThawDeveloper: the last good settings.
func (d *Developer) Freeze() []byte { panic("being written") }

// ThawDeveloper builds a developer of what Freeze returned.
func ThawDeveloper(frozen []byte, kinds destination.Registry, keys *keyring.Ring) (*Developer, error) {
	panic("being written")
}

// Fault is one thing that is wrong in a file.
type Fault struct {
	File    string
	Line    int // from 1; 0 when it is about the whole file
	Message string
}

// Faults is an error of all that is wrong, one line each: file:line: message.
type Faults []Fault

func (f Faults) Error() string { panic("being written") }

// Load reads path (fantail.yaml) and its developers' folder. With faults in
// path the Snapshot is nil; with faults in developers' files only, it holds
// the sound developers and names the others in Broken. The error is Faults.
func Load(path string, kinds destination.Registry) (*Snapshot, error) { panic("being written") }

// Daemon is fantail.yaml with defaults filled in; see DESIGN 7.
type Daemon struct {
	Brand         string
	Listen        string
	TLS           TLS
	Tokens        []Token
	DevelopersDir string
	Store         Store
	Retention     Retention
	Egress        Egress
	Ambient       []string // developer/destination
	Limits        Limits
	ShutdownGrace time.Duration
	Dir           string // the folder of fantail.yaml: relative paths start there
}

type TLS struct{ Cert, Key string }

// Token is one bearer token of the API.
type Token struct {
	Name       string
	Value      secret.Value
	May        []string // ingest, read, operate
	Developers []string // nil: all
}

type Store struct{ Pebble Pebble }

// Pebble is the embedded store.
type Pebble struct {
	Dir     string // absolute
	Reserve int64  // bytes of the disk kept free: below it nothing is accepted
}

type Retention struct{ Events, Attempts, Payloads, Idempotency time.Duration }

type Egress struct {
	Allow, Deny []netip.Prefix
	Proxy       string
	Source      []netip.Addr
}

type Limits struct {
	Body          int64
	InFlight      int
	InFlightBytes int64
	PerDeveloper  PerDeveloper
}

// PerDeveloper limits each developer; 0 means no limit.
type PerDeveloper struct {
	Rate    float64 // events a second
	Pending int64   // deliveries
	Bytes   int64   // of pending bodies
}
