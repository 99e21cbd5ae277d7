package postgres

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/pgclient"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// target reads the settings. Its errors begin with the path of a setting and
// show no value.
func (c Config) target() (*pgclient.Target, error) {
	t := pgclient.New()
	t.TLS = c.TLS
	hosts, mode := "", farside.VerifyFull
	var faults []error
	if !c.DSN.IsZero() {
		var err error
		if hosts, mode, err = readDSN(t, c.DSN.Reveal()); err != nil {
			faults = append(faults, fmt.Errorf("dsn: %w", err))
		}
	}
	if t.TLS.Mode == "" {
		t.TLS.Mode = mode
	}
	for into, value := range map[*string]string{&hosts: c.Host, &t.Database: c.Database, &t.User: c.User} {
		if value != "" {
			*into = value
		}
	}
	if !c.Password.IsZero() {
		t.Password = c.Password
	}
	port := c.Port
	switch {
	case port < 0 || port > 65535:
		faults = append(faults, errors.New("port: must be 1 to 65535"))
	case port == 0:
		port = 5432
	}
	if len(faults) == 0 {
		var err error
		if t.Hosts, err = farside.Hosts(hosts, uint16(port)); err != nil {
			faults = append(faults, fmt.Errorf("host: %w", err))
		}
	}
	for _, required := range []struct{ path, value string }{{"user", t.User}, {"database", t.Database}} {
		if len(faults) == 0 && required.value == "" {
			faults = append(faults, fmt.Errorf("%s: is required, here or in dsn", required.path))
		}
		if strings.Contains(required.value, "\x00") {
			faults = append(faults, fmt.Errorf("%s: must not have a zero byte", required.path))
		}
	}
	if len(faults) == 0 && t.Session == "" {
		t.Session = "any"
		if len(t.Hosts) > 1 { // all but one of them are replicas, as a rule
			t.Session = "read-write"
		}
	}
	return t, errors.Join(faults...)
}

// dangerous are parameters that make the driver read this machine's files, with
// what to do instead. None but those that readDSN understands is accepted.
var dangerous = map[string]string{
	"passfile": "set password", "service": "set host, user and the others", "servicefile": "set host, user and the others",
	"sslrootcert": "set tls.ca", "sslcert": "set tls.cert", "sslkey": "set tls.key", "sslpassword": "set tls.key without a password",
	"host": "name the host before the path", "hostaddr": "name the host before the path",
}

var modes = []string{farside.Disable, farside.Require, farside.VerifyCA, farside.VerifyFull}

// readDSN reads a DSN into t. What it does not understand is an error: a parameter
// that asks for safety and is ignored would be worse.
func readDSN(t *pgclient.Target, dsn string) (hosts, mode string, err error) {
	parts, err := farside.SplitDSN(dsn, "postgres", "postgresql")
	if err != nil {
		return "", "", err
	}
	t.User, t.Password, t.Database = parts.User, parts.Password, parts.Database
	mode = farside.VerifyFull
	var faults []error
	for name, all := range parts.Params {
		value := all[len(all)-1]
		known := true
		switch name {
		case "sslmode":
			known = value == modes[0] || value == modes[1] || value == modes[2] || value == modes[3]
			mode = value
			if value == "prefer" || value == "allow" {
				faults = append(faults, errors.New("sslmode=prefer and allow may end without TLS: choose verify-full, verify-ca, require or disable"))
				known = true
			}
		case "target_session_attrs":
			known = value == "any" || value == "read-write" || value == "primary"
			t.Session = value
		case "channel_binding":
			known = value == "disable" || value == "prefer" || value == "require"
			t.Binding = value
		case "sslnegotiation":
			known = value == "postgres" || value == "direct"
			t.Negotiation = value
		case "connect_timeout":
			n, err := strconv.Atoi(value)
			known = err == nil && n >= 1 && n <= 300
			t.Timeout = time.Duration(n) * time.Second
		case "user":
			t.User = value
		case "password":
			t.Password = secret.New(value)
		case "dbname":
			t.Database = value
		case "application_name", "options":
			t.Params[name] = value
		default:
			// A name may be the rest of a password with a ? in it.
			if advice := dangerous[name]; advice != "" {
				faults = append(faults, fmt.Errorf("must not have the parameter %s: %s", name, advice))
			} else {
				faults = append(faults, errors.New("has a parameter besides sslmode, target_session_attrs, channel_binding, sslnegotiation, connect_timeout, application_name and options (or a ? in its password, to be written %3F)"))
			}
		}
		if !known {
			faults = append(faults, fmt.Errorf("the parameter %s has a value that is not accepted", name))
		}
	}
	return parts.Hosts, mode, errors.Join(faults...)
}
