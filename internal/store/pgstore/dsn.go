package pgstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// sslModes are those that never end without TLS against the wish of whoever wrote
// them; verify-full is the default.
var sslModes = []string{"verify-full", "verify-ca", "require", "disable"}

// CheckURL tells what is wrong with a URL of a database, without showing it.
func CheckURL(text secret.Value) error {
	_, err := parseURL(text.Reveal())
	return err
}

// parse reads the URLs of o.
func parse(o Options) (configs, error) {
	if len(o.URLs) == 0 {
		return nil, errors.New("no URL of a database")
	}
	var cs configs
	for i, u := range o.URLs {
		c, err := parseURL(u.Reveal())
		if err != nil {
			return nil, fmt.Errorf("url %d: %w", i+1, err)
		}
		cs = append(cs, c)
	}
	return cs, nil
}

// parseURL reads postgres://user:password@host[:port][,host[:port]...]/database with
// sslmode, sslrootcert, sslcert and sslkey. Everything else is an error: a parameter
// that asks for safety and is ignored would be worse. Neither the environment nor
// files that nobody named have a say.
func parseURL(text string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" { // the error would show the password
		return nil, errors.New("is no URL such as postgres://user:password@host/database (write : / ? # @ of a password as %3A %2F %3F %23 %40)")
	}
	password, hasPassword := u.User.Password()
	database := strings.TrimPrefix(u.Path, "/")
	switch {
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return nil, errors.New("must begin with postgres://")
	case u.Host == "":
		return nil, errors.New("must name a host")
	case u.User.Username() == "":
		return nil, errors.New("must name a user")
	case database == "" || strings.Contains(database, "/"):
		return nil, errors.New("must name a database")
	case u.Fragment != "":
		return nil, errors.New("has a # (write it %23)")
	}
	params := url.Values{"sslmode": {sslModes[0]}, "passfile": {os.DevNull}, "servicefile": {os.DevNull}}
	for name, values := range u.Query() {
		value := values[len(values)-1]
		switch name {
		case "sslmode":
			if !slices.Contains(sslModes, value) {
				return nil, errors.New("sslmode must be verify-full, verify-ca, require or disable")
			}
		case "sslrootcert", "sslcert", "sslkey":
			if !filepath.IsAbs(value) {
				return nil, fmt.Errorf("%s must be an absolute path", name)
			}
		default:
			return nil, errors.New("has a parameter besides sslmode, sslrootcert, sslcert and sslkey (or a ? in its password, to be written %3F)")
		}
		params.Set(name, value)
	}
	// Of several hosts all but one are replicas, and after a failover one that was the
	// primary takes no writes.
	params.Set("target_session_attrs", "read-write")
	clean := url.URL{Scheme: "postgres", User: u.User, Host: u.Host, Path: "/" + database, RawQuery: params.Encode()}
	c, err := pgx.ParseConfig(clean.String())
	if err != nil {
		return nil, fmt.Errorf("cannot be used: %s", withoutURL(err, password))
	}
	if !hasPassword {
		c.Password = "" // of the environment
	}
	// A pooler in transaction mode has a statement parsed by one server and run by
	// another: nothing is prepared under a name.
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	c.StatementCacheCapacity = 0
	c.ConnectTimeout = connectTimeout
	c.RuntimeParams = map[string]string{"application_name": "fantail"}
	d := dialer()
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}
	return c, nil
}

// withoutURL words an error of the driver, which quotes the URL.
func withoutURL(err error, password string) string {
	text := "its parameters, or the files that they name, cannot be read"
	if cause := errors.Unwrap(err); cause != nil && (password == "" || !strings.Contains(cause.Error(), password)) {
		text = cause.Error()
	}
	return text
}

// fallback is another database as the driver takes it: to be tried after the first.
func fallback(c *pgx.ConnConfig) []*pgconn.FallbackConfig {
	return append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
}
