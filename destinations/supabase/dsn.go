package supabase

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// database is where tables are completed by way of PostgreSQL's own protocol.
type database struct {
	host       sqltables.Host
	user, name string
	password   secret.Value
	tls        sqltables.TLS
}

// readDSN reads a DSN. Nothing but sslmode is taken besides what must be there:
// other parameters make drivers read files of this machine, or ask for what
// would then silently not happen. Its errors show no value.
func readDSN(dsn, ca secret.Value) (*database, error) {
	at := func(err error) error { return fmt.Errorf("complete.dsn: %w", err) }
	parts, err := sqltables.SplitDSN(dsn.Reveal(), "postgres", "postgresql")
	if err != nil {
		return nil, at(errors.New("must be a URL, postgres://user:password@host:port/database, where characters such as @ / : ? # % of user and password are written %40 %2F %3A %3F %23 %25"))
	}
	hosts, err := sqltables.Hosts(parts.Hosts, 5432)
	switch {
	case parts.User == "" || parts.Database == "" || parts.Hosts == "":
		return nil, at(errors.New("must name user, host and database"))
	case err != nil:
		return nil, at(err)
	case len(hosts) > 1:
		return nil, at(errors.New("must name one host"))
	}
	d := &database{host: hosts[0], user: parts.User, name: parts.Database, password: parts.Password,
		tls: sqltables.TLS{Mode: sqltables.VerifyFull, CA: ca}}
	for name, all := range parts.Params {
		if name != "sslmode" {
			return nil, at(errors.New("takes no parameter but sslmode; certificates go into complete.ca"))
		}
		d.tls.Mode = all[len(all)-1]
	}
	if _, err := d.tls.Config(d.host.Name); err != nil {
		return nil, at(errors.New("sslmode must be verify-full (the default), verify-ca, require or disable; complete.ca must be certificates in PEM form, and goes with the first two"))
	}
	return d, nil
}

// run runs SQL over a connection of its own, which is rarely needed and never
// kept.
func (d *database) run(ctx context.Context, dial destination.DialFunc, sql string) error {
	const what = "complete the tables by complete.dsn: "
	if dial == nil {
		return errors.New(what + "the engine lends no network")
	}
	c, err := d.config()
	if err != nil {
		return err
	}
	n := &network{dial: dial}
	defer n.close()
	c.DialFunc = n.connect
	conn, err := pgconn.ConnectConfig(ctx, c)
	if err == nil {
		err = conn.Exec(ctx, sql).Close()
		if err == nil {
			return conn.Close(ctx)
		}
		n.close() // the driver would tidy up for up to 15 s
		<-closed(conn)
	}
	return d.fault(what, err)
}

// closed returns what is closed when the driver has left conn.
func closed(conn *pgconn.PgConn) <-chan struct{} {
	if !conn.IsClosed() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = conn.Close(ctx)
	}
	return conn.CleanupDone()
}

// config returns what the driver connects with. The driver makes one only by
// reading the environment, so that it gets a text that overrides all of it, and
// then everything is replaced.
func (d *database) config() (*pgconn.Config, error) {
	c, err := pgconn.ParseConfig("host=localhost port=5432 user=none password=none database=none connect_timeout=10 target_session_attrs=any" +
		" sslmode=disable sslrootcert='' sslcert='' sslkey='' sslcertmode=disable sslnegotiation='' channel_binding='' require_auth='' min_protocol_version='' max_protocol_version=''")
	if err != nil { // its text may quote the environment
		return nil, errors.New("set up the PostgreSQL driver: the environment of the daemon has PGSERVICE, which the driver always follows: unset it")
	}
	c.Host, c.Port, c.User, c.Password, c.Database = d.host.Name, d.host.Port, d.user, d.password.Reveal(), d.name
	c.RuntimeParams = map[string]string{"application_name": "fantail"}
	c.ConnectTimeout = 10 * time.Second
	c.Fallbacks, c.OnNotice, c.OnNotification, c.ValidateConnect = nil, nil, nil, nil
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	if c.TLSConfig, err = d.tls.Config(d.host.Name); err != nil {
		return nil, err
	}
	if c.TLSConfig == nil {
		c.RequireAuth = "!password" // anybody on the way would read it
	}
	return c, nil
}

func (d *database) fault(what string, err error) error {
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f // the guard's
	}
	f := &destination.Fault{}
	var text string
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		f.Class = sqlClass(pe.Code)
		text = "answered " + pe.Code + ": " + sqltables.Quote(pe.Message, d.password)
	} else if sqltables.Untrusted(err) != "" {
		f.Class = destination.Misconfigured
		text = "the server's certificate is not one that we trust for " + d.host.Name + ": set complete.ca to the certificate under Database > Settings"
	} else {
		text = sqltables.Describe(err, d.password)
	}
	f.Err = &sqltables.Failure{Text: what + text, Cause: err}
	return f
}

// network knows the connections of one run, to end them all.
type network struct {
	dial destination.DialFunc

	mu   sync.Mutex
	over bool
	open []net.Conn
}

func (n *network) connect(ctx context.Context, kind, address string) (net.Conn, error) {
	n.mu.Lock()
	over := n.over
	n.mu.Unlock()
	if over {
		return nil, net.ErrClosed
	}
	c, err := n.dial(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = append(n.open, c)
	return c, nil
}

func (n *network) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	for _, c := range n.open {
		c.Close()
	}
}
