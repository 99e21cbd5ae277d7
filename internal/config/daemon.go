package config

import (
	"net/netip"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Daemon is fantail.yaml with defaults filled in; docs/CONFIGURATION.md says
// what each key means.
type Daemon struct {
	Brand         string
	Listen        string
	TLS           TLS
	Tokens        []Token
	Developers    Source
	Store         Store
	Payloads      Payloads
	Console       Console
	Retention     Retention
	Egress        Egress
	Ambient       []string // developer/destination
	Types         map[string]event.DataType
	Catalogue     *event.Catalogue // the default one with Types laid over it
	Notices       Notices
	Healthcheck   Healthcheck
	Tracing       Tracing
	Limits        Limits
	ShutdownDelay time.Duration // from the stop's being said by /readyz to its beginning
	ShutdownGrace time.Duration
	Dir           string // the folder of fantail.yaml: relative paths start there
}

// Source says where developers' texts are: in a folder, or in the store.
type Source struct {
	Folder string // absolute; "": Stored
	Stored bool
	Import string // the folder, absolute, whose files the store takes over; "": none
}

// TLS names the API's certificate and its key, both absolute paths or both "".
type TLS struct{ Cert, Key string }

// Token is one bearer token of the API.
type Token struct {
	Name       string
	Value      secret.Value
	May        []string // ingest, read, operate, configure, link
	Developers []string // nil: all
	Rate       float64  // requests a second; 0: no limit
}

// Payloads says where payloads are kept that destinations link to: at most one
// of its parts is set.
type Payloads struct {
	Dir *PayloadDir
	S3  *aws.BucketSettings
	GCS *gcp.BucketSettings
}

// Kept tells whether there is a payload store at all.
func (p *Payloads) Kept() bool { return p.Dir != nil || p.S3 != nil || p.GCS != nil }

// PayloadDir is the embedded payload store.
type PayloadDir struct {
	Path      string // absolute
	PublicURL string // what links begin with
	Listen    string // an address of their own for links; "": the API's
}

// Retention says how long things are kept; 0 is for ever.
type Retention struct{ Events, Attempts, Payloads, Idempotency, Changes time.Duration }

// Egress says where connections may go, and how they leave.
type Egress struct {
	Allow, Deny []netip.Prefix
	Proxy       secret.Value // http://[user:password@]host:port; zero: none
	Source      []netip.Addr
}

// Limits bound the whole daemon.
type Limits struct {
	Body          int64   // bytes
	BodyRate      float64 // bytes a second that a body must come with
	InFlight      int     // attempts
	InFlightBytes int64   // of bodies in attempts

	Lag          time.Duration // of deliveries before producers are slowed down; 0: they never are
	PerDeveloper PerDeveloper
}

// PerDeveloper limits each developer; 0 means no limit.
type PerDeveloper struct {
	Rate    float64 // events a second
	Pending int64   // deliveries
	Bytes   int64   // of pending bodies

	Destinations int           // that a file may have; never 0
	Attempts     float64       // a second, over all their destinations
	ShortestWait time.Duration // of schedules; shorter waits are lengthened
}
