package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// maxMessage bounds one message of the server: none that we ask for is larger
// than a list of columns.
const maxMessage = 4 << 20

// config returns what the driver connects with. The driver makes one only by
// reading the environment, so that it gets a text that overrides all of it, and
// then everything is replaced.
func (t *target) config(dial destination.DialFunc) (*pgconn.Config, error) {
	c, err := pgconn.ParseConfig("host=localhost port=5432 user=none password=none database=none connect_timeout=10 target_session_attrs=any" +
		" sslmode=disable sslrootcert='' sslcert='' sslkey='' sslcertmode=disable sslnegotiation='' channel_binding='' require_auth='' min_protocol_version='' max_protocol_version=''")
	if err != nil { // its text may quote the environment
		return nil, errors.New("set up the PostgreSQL driver: the environment of the daemon has PGSERVICE, which the driver always follows: unset it")
	}
	c.User, c.Password, c.Database = t.user, t.password.Reveal(), t.database
	c.RuntimeParams = t.params
	c.ConnectTimeout = t.connectTimeout
	c.SSLCertMode, c.SSLNegotiation, c.ChannelBinding = "allow", t.negotiation, t.binding
	c.KerberosSrvName, c.KerberosSpn = "", ""
	c.MinProtocolVersion, c.MaxProtocolVersion = "3.0", "3.0" // poolers know no other
	c.MaxProtocolMessageBodyLen = maxMessage
	c.DialFunc = pgconn.DialFunc(dial)
	// The guard resolves names itself, and connects to what it has judged.
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	c.OnNotice, c.OnNotification = nil, nil
	c.ValidateConnect = nil
	switch t.session {
	case "read-write":
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	case "primary":
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	if t.tls.Mode == sqltables.Disable {
		c.RequireAuth = "!password" // anybody on the way would read it
	}
	c.Fallbacks = nil
	for i, h := range t.hosts {
		tls, err := t.tls.Config(h.Name)
		if err != nil {
			return nil, err
		}
		if tls != nil && t.negotiation == "direct" {
			tls.NextProtos = []string{"postgresql"}
		}
		if i == 0 {
			c.Host, c.Port, c.TLSConfig = h.Name, h.Port, tls
		} else {
			c.Fallbacks = append(c.Fallbacks, &pgconn.FallbackConfig{Host: h.Name, Port: h.Port, TLSConfig: tls})
		}
	}
	return c, nil
}

// network carries the destination's connections and ends those that are left
// when it is closed: the driver tidies up after a cancelled query for up to 15 s.
type network struct {
	dial destination.DialFunc
	end  context.Context
	stop context.CancelFunc

	mu   sync.Mutex
	open map[net.Conn]bool
}

func newNetwork(dial destination.DialFunc) *network {
	n := &network{dial: dial, open: map[net.Conn]bool{}}
	n.end, n.stop = context.WithCancel(context.Background())
	return n
}

// connect is a destination.DialFunc.
func (n *network) connect(ctx context.Context, kind, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.end, cancel)()
	if n.dial == nil {
		return nil, errors.New("the engine lends no network")
	}
	c, err := n.dial(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	own := &line{c, n}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.end.Err() != nil {
		c.Close()
		return nil, fmt.Errorf("connect to %s: %w", address, net.ErrClosed)
	}
	n.open[own] = true
	return own, nil
}

func (n *network) close() {
	n.stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		c.(*line).Conn.Close()
	}
}

// line is one connection.
type line struct {
	net.Conn
	of *network
}

func (l *line) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}
