package postgres

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Definition is the kind "postgres"; see destinations/all.
//
// Its timeout of five minutes is for the hundreds of payloads that an event may
// be, which are put before the rows are written.
func Definition() destination.Definition {
	return destination.Define("postgres", destination.Traits{Timeout: 5 * time.Minute, Links: true}, defaults, open)
}

var (
	_ destination.Ambienter    = Config{}
	_ destination.PayloadOwner = Config{}
)

// Config is the settings of one database.
type Config struct {
	// DSN is a URL, postgres://user:password@host:port/database?sslmode=...; the
	// settings below stand in for its parts, and win over them.
	DSN      secret.Value `yaml:"dsn"`
	Host     string       `yaml:"host"` // or several, host:port,host:port: the first that takes writes is used
	Port     int          `yaml:"port"` // of hosts that name none
	Database string       `yaml:"database"`
	User     string       `yaml:"user"`
	Password secret.Value `yaml:"password"`

	TLS farside.TLS `yaml:"tls"` // mode "": that of the DSN, else verify-full

	Schema         string `yaml:"schema"`          // "": the first of the user's search_path
	MaxConnections int    `yaml:"max_connections"` // at a time

	sqltables.Settings `yaml:",inline"`
}

func defaults() Config { return Config{MaxConnections: 4, Settings: sqltables.Defaults()} }

// Validate reports every fault at once, joined, each beginning with the path
// of its setting. No message shows a value that may be a credential.
func (c Config) Validate() error {
	faults := []error{c.Settings.Validate()}
	if t, err := c.target(); err != nil {
		faults = append(faults, err)
	} else if _, err := t.TLS.Config(t.Hosts[0].Name); err != nil {
		faults = append(faults, err)
	}
	if c.MaxConnections < 1 || c.MaxConnections > 100 {
		faults = append(faults, errors.New("max_connections: must be 1 to 100"))
	}
	if !identifier(c.Schema) {
		faults = append(faults, fmt.Errorf("schema: must have at most %d bytes, none of them a control character", maxIdentifier))
	}
	return errors.Join(faults...)
}

// NeedsAmbient tells whether the operator's own credentials are needed.
func (c Config) NeedsAmbient() bool { return c.Payloads.NeedsAmbient() }

// OwnPayloads tells whether links lead to a bucket of the destination's own.
func (c Config) OwnPayloads() bool { return c.Payloads.Named() }

// maxIdentifier is NAMEDATALEN less one: PostgreSQL cuts longer names silently.
const maxIdentifier = 63

func identifier(name string) bool {
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return len(name) <= maxIdentifier
}
