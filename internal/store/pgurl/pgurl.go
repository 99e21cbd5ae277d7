// Package pgurl reads the URL of a PostgreSQL database that a store lies in: strictly, so
// that nothing which asks for safety is ignored. Its errors show no part of the URL.
package pgurl

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// modes are those that never end without TLS against the wish of whoever wrote them;
// the first is the default.
var modes = []string{"verify-full", "verify-ca", "require", "disable"}

// Parse reads postgres://user:password@host[:port]/database with
// sslmode, sslrootcert, sslcert and sslkey, and returns it for the driver: with TLS
// checked unless it says otherwise, for a server that takes writes, and without a say for
// files that nobody named.
func Parse(text string) (clean string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" { // the error would show the password
		return "", errors.New("is no URL such as postgres://user:password@host/database (write : / ? # @ of a password as %3A %2F %3F %23 %40)")
	}
	database := strings.TrimPrefix(u.Path, "/")
	switch {
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return "", errors.New("must begin with postgres://")
	case u.Host == "":
		return "", errors.New("must name a host")
	case strings.Contains(u.Host, ","):
		return "", errors.New("must name one host: list a URL for each")
	case u.User.Username() == "":
		return "", errors.New("must name a user")
	case database == "" || strings.Contains(database, "/"):
		return "", errors.New("must name a database")
	case u.Fragment != "":
		return "", errors.New("has a # (write it %23)")
	}
	params := url.Values{"sslmode": {modes[0]}, "passfile": {os.DevNull}, "servicefile": {os.DevNull}}
	for name, values := range u.Query() {
		value := values[len(values)-1]
		switch name {
		case "sslmode":
			if !slices.Contains(modes, value) {
				return "", errors.New("sslmode must be verify-full, verify-ca, require or disable")
			}
		case "sslrootcert", "sslcert", "sslkey":
			if !filepath.IsAbs(value) {
				return "", fmt.Errorf("%s must be an absolute path", name)
			}
		default:
			return "", errors.New("has a parameter besides sslmode, sslrootcert, sslcert and sslkey (or a ? in its password, to be written %3F)")
		}
		params.Set(name, value)
	}
	// Of several URLs all but one are of replicas, and after a failover one that was the
	// primary takes no writes.
	params.Set("target_session_attrs", "read-write")
	out := url.URL{Scheme: "postgres", User: u.User, Host: u.Host, Path: "/" + database, RawQuery: params.Encode()}
	return out.String(), nil
}
