package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/internal/store/pgurl"
)

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
		c.Tracer = o.tracer
		cs = append(cs, c)
	}
	return cs, nil
}

// parseURL reads a URL: see package pgurl. The environment has no say.
func parseURL(text string) (*pgx.ConnConfig, error) {
	clean, err := pgurl.Parse(text)
	if err != nil {
		return nil, err
	}
	c, err := pgx.ParseConfig(clean)
	if err != nil {
		return nil, fmt.Errorf("cannot be used: %s", withoutURL(err, text))
	}
	if u, err := url.Parse(clean); err == nil {
		c.Password, _ = u.User.Password() // otherwise the driver takes the password from the environment
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
func withoutURL(err error, text string) string {
	var file *fs.PathError
	if errors.As(err, &file) && !strings.Contains(text, file.Path+"@") {
		return file.Error()
	}
	return "its parameters, or the files that they name, cannot be read"
}

// fallback is another database as the driver takes it: to be tried after the first.
func fallback(c *pgx.ConnConfig) []*pgconn.FallbackConfig {
	return append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
}
