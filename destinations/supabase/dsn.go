package supabase

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/network"
	"github.com/seed-51f8da91/fantail/destinations/internal/pgclient"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// database is where tables are completed by way of PostgreSQL's own protocol.
type database struct{ *pgclient.Target }

// readDSN reads a DSN. Nothing but sslmode is taken besides what must be there:
// other parameters make drivers read files of this machine, or ask for what
// would then silently not happen. Its errors show no value.
func readDSN(dsn, ca secret.Value) (database, error) {
	d := database{pgclient.New()}
	at := func(err error) error { return fmt.Errorf("complete.dsn: %w", err) }
	parts, err := farside.SplitDSN(dsn.Reveal(), "postgres", "postgresql")
	if err != nil {
		return d, at(errors.New("must be a URL, postgres://user:password@host:port/database, where characters such as @ / : ? # % of user and password are written %40 %2F %3A %3F %23 %25"))
	}
	hosts, err := farside.Hosts(parts.Hosts, 5432)
	switch {
	case parts.User == "" || parts.Database == "" || parts.Hosts == "":
		return d, at(errors.New("must name user, host and database"))
	case err != nil:
		return d, at(err)
	case len(hosts) > 1:
		return d, at(errors.New("must name one host"))
	}
	d.Hosts, d.User, d.Database, d.Password = hosts, parts.User, parts.Database, parts.Password
	d.TLS = farside.TLS{Mode: farside.VerifyFull, CA: ca}
	for name, all := range parts.Params {
		if name != "sslmode" {
			return d, at(errors.New("takes no parameter but sslmode; certificates go into complete.ca"))
		}
		d.TLS.Mode = all[len(all)-1]
	}
	if _, err := d.TLS.Config(d.host()); err != nil {
		return d, at(errors.New("sslmode must be verify-full (the default), verify-ca, require or disable; complete.ca must be certificates in PEM form, and goes with the first two"))
	}
	return d, nil
}

func (d database) host() string { return d.Hosts[0].Name }

// run runs SQL over a connection of its own, which is rarely needed and never
// kept. Without any it only sees whether it could.
func (d database) run(ctx context.Context, dial destination.DialFunc, sql string) error {
	const what = "complete the tables by complete.dsn: "
	n := network.New(dial)
	defer n.Close()
	c, err := d.Config(n.Dial)
	if err != nil {
		return err
	}
	return d.fault(what, destination.Guard(func() error {
		conn, err := pgconn.ConnectConfig(ctx, c)
		if err != nil {
			return err
		}
		if err = conn.Exec(ctx, sql).Close(); err == nil {
			return conn.Close(ctx)
		}
		n.Close() // the driver would tidy up for up to 15 s
		<-closed(conn)
		return err
	}))
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

func (d database) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f // the guard's
	}
	f := &destination.Fault{}
	scrub := secret.NewScrubber(d.Password.Reveal())
	var text string
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		f.Class = sqlClass(pe.Code)
		text = "answered " + pe.Code + ": " + farside.Quote(scrub, pe.Message)
	} else if farside.Untrusted(err) != "" {
		f.Class = destination.Misconfigured
		text = "the server's certificate is not one that we trust for " + d.host() + ": set complete.ca to the certificate under Database > Settings"
	} else {
		text = farside.Describe(scrub, err)
	}
	f.Err = fault.Of(err, what+text)
	return f
}
