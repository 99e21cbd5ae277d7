package mysql

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Definition is the kind "mysql"; see destinations/all.
//
// Its timeout of five minutes is for the hundreds of payloads that an event may
// be, which are put before the rows are written.
func Definition() destination.Definition {
	return destination.Define("mysql", destination.Traits{Timeout: 5 * time.Minute, Links: true}, defaults, open)
}

var (
	_ destination.Ambienter    = Config{}
	_ destination.PayloadOwner = Config{}
)

// Config is the settings of one database.
type Config struct {
	// DSN is a URL, mysql://user:password@host:port/database?ssl-mode=...; the
	// settings below stand in for its parts, and win over them.
	DSN      secret.Value `yaml:"dsn"`
	Host     string       `yaml:"host"`
	Port     int          `yaml:"port"`
	Database string       `yaml:"database"`
	User     string       `yaml:"user"`
	Password secret.Value `yaml:"password"`

	TLS farside.TLS `yaml:"tls"` // mode "": that of the DSN, else verify-full

	MaxConnections int `yaml:"max_connections"` // at a time

	sqltables.Settings `yaml:",inline"`
}

func defaults() Config { return Config{MaxConnections: 4, Settings: sqltables.Defaults()} }

// Validate reports every fault at once, joined, each beginning with the path
// of its setting. No message shows a value that may be a credential.
func (c Config) Validate() error {
	faults := []error{c.Settings.Validate()}
	if _, err := c.target(); err != nil {
		faults = append(faults, err)
	}
	if c.MaxConnections < 1 || c.MaxConnections > 100 {
		faults = append(faults, errors.New("max_connections: must be 1 to 100"))
	}
	return errors.Join(faults...)
}

// NeedsAmbient tells whether the operator's own credentials are needed.
func (c Config) NeedsAmbient() bool { return c.Payloads.NeedsAmbient() }

// OwnPayloads tells whether links lead to a bucket of the destination's own.
func (c Config) OwnPayloads() bool { return c.Payloads.Named() }

// target is where to connect and as whom.
type target struct {
	host           farside.Host
	database, user string
	password       secret.Value
	tls            farside.TLS
}

// modes are the values of ssl-mode, as MySQL's own clients know them, and of
// tls, as others do. PREFERRED may end without TLS and is not among them.
var modes = map[string]string{
	"DISABLED": farside.Disable, "REQUIRED": farside.Require, "VERIFY_CA": farside.VerifyCA, "VERIFY_IDENTITY": farside.VerifyFull,
	"FALSE": farside.Disable, "SKIP-VERIFY": farside.Require, "TRUE": farside.VerifyFull,
}

// target reads the settings. Its errors begin with the path of a setting and
// show no value.
func (c Config) target() (*target, error) {
	t := &target{database: c.Database, user: c.User, password: c.Password, tls: c.TLS}
	hosts, mode := c.Host, farside.VerifyFull
	var faults []error
	if !c.DSN.IsZero() {
		d, err := farside.SplitDSN(c.DSN.Reveal(), "mysql", "mariadb")
		if err != nil {
			return nil, fmt.Errorf("dsn: %w", err)
		}
		for into, value := range map[*string]string{&hosts: d.Hosts, &t.database: d.Database, &t.user: d.User} {
			if *into == "" {
				*into = value
			}
		}
		if t.password.IsZero() {
			t.password = d.Password
		}
		for name, values := range d.Params {
			switch value := strings.ToUpper(values[len(values)-1]); {
			case name != "ssl-mode" && name != "tls":
				// A name may be the rest of a password with a ? in it. The driver's
				// own parameters could read files and turn off its safety.
				faults = append(faults, errors.New("dsn: has a parameter besides ssl-mode and tls (or a ? in its password, to be written %3F)"))
			case modes[value] == "":
				faults = append(faults, errors.New("dsn: ssl-mode must be VERIFY_IDENTITY, VERIFY_CA, REQUIRED or DISABLED: others may end without TLS"))
			default:
				mode = modes[value]
			}
		}
	}
	if t.tls.Mode == "" {
		t.tls.Mode = mode
	}
	port := c.Port
	if port == 0 {
		port = 3306
	}
	if port < 0 || port > 65535 {
		faults = append(faults, errors.New("port: must be 1 to 65535"))
	}
	if all, err := farside.Hosts(hosts, uint16(port)); err != nil {
		faults = append(faults, fmt.Errorf("host: %w", err))
	} else if t.host = all[0]; len(all) > 1 {
		faults = append(faults, errors.New("host: must be one host: the name that follows the primary"))
	}
	for _, required := range []struct{ path, value string }{{"user", t.user}, {"database", t.database}} {
		if required.value == "" {
			faults = append(faults, fmt.Errorf("%s: is required, here or in dsn", required.path))
		}
		if strings.Contains(required.value, "\x00") {
			faults = append(faults, fmt.Errorf("%s: must not have a zero byte", required.path))
		}
	}
	if _, err := t.tls.Config(t.host.Name); err != nil {
		faults = append(faults, err)
	}
	return t, errors.Join(faults...)
}
