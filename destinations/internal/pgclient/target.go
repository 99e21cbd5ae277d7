// Package pgclient sets up PostgreSQL's driver for destinations: with what their
// settings say, nothing of the environment and the files of this machine, and
// the engine's network.
package pgclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Timeout is what one host gets, so that a dead one leaves time for the next.
const Timeout = 10 * time.Second

// Target is where to connect and as whom: what the driver would otherwise read
// from a DSN, the environment and files in the home directory, of which it is
// given none.
type Target struct {
	Hosts          []farside.Host
	Database, User string
	Password       secret.Value
	TLS            farside.TLS
	Session        string            // which servers will do: any ("" too), read-write or primary
	Binding        string            // channel_binding
	Negotiation    string            // sslnegotiation
	Params         map[string]string // of the session
	Timeout        time.Duration     // to connect to one host
}

// New returns a target with what holds unless settings say otherwise.
func New() *Target {
	return &Target{Binding: "prefer", Timeout: Timeout, Params: map[string]string{
		"application_name": "fantail",
		"client_encoding":  "UTF8", // else the server takes what we send for its database's own
	}}
}

// overriding has a value for all that the driver would look for elsewhere.
const overriding = "host=localhost port=5432 user=none password=none database=none connect_timeout=10 target_session_attrs=any" +
	" sslmode=disable sslrootcert='' sslcert='' sslkey='' sslcertmode=disable sslnegotiation='' channel_binding='' require_auth='' min_protocol_version='' max_protocol_version=''"

// Config returns what the driver connects with. The driver makes one only by
// reading the environment, so that it gets a text that overrides all of it, and
// then everything is replaced.
func (t *Target) Config(dial destination.DialFunc) (*pgconn.Config, error) {
	c, err := pgconn.ParseConfig(overriding)
	if err != nil { // its text may quote the environment
		return nil, errors.New("set up the PostgreSQL driver: the environment of the daemon has PGSERVICE, which the driver always follows: unset it")
	}
	c.User, c.Password, c.Database = t.User, t.Password.Reveal(), t.Database
	c.RuntimeParams = t.Params
	c.ConnectTimeout = t.Timeout
	c.SSLCertMode, c.SSLNegotiation, c.ChannelBinding = "allow", t.Negotiation, t.Binding
	c.KerberosSrvName, c.KerberosSpn = "", ""
	c.MinProtocolVersion, c.MaxProtocolVersion = "3.0", "3.0" // poolers know no other
	c.MaxProtocolMessageBodyLen = maxResult
	// Between TLS and what reads messages. The connection itself must stay one of
	// crypto/tls, by which the driver binds SCRAM to the channel.
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend { return pgproto3.NewFrontend(newFrames(r), w) }
	first := firstOfAll
	switch {
	case t.TLS.Mode == farside.Disable:
	case t.Negotiation == "direct":
		first = firstDirect
	default:
		first = firstForTLS
	}
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &greeting{Conn: conn, may: first}, nil
	}
	c.AfterNetConnect = shakeHands
	// The guard resolves names itself, and connects to what it has judged.
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	c.OnNotice, c.OnNotification = nil, nil
	c.ValidateConnect = nil
	switch t.Session {
	case "read-write":
		c.ValidateConnect = expect("SHOW transaction_read_only", "off", "the server is read only, or default_transaction_read_only is on for this user")
	case "primary":
		c.ValidateConnect = expect("SELECT pg_is_in_recovery()", "f", "this server is a replica")
	}
	if t.TLS.Mode == farside.Disable {
		c.RequireAuth = "!password" // anybody on the way would read it
	}
	c.Fallbacks = nil
	for i, h := range t.Hosts {
		config, err := t.TLS.Config(h.Name)
		if err != nil {
			return nil, err
		}
		if config != nil && t.Negotiation == "direct" {
			config.NextProtos = []string{"postgresql"}
		}
		if i == 0 {
			c.Host, c.Port, c.TLSConfig = h.Name, h.Port, config
		} else {
			c.Fallbacks = append(c.Fallbacks, &pgconn.FallbackConfig{Host: h.Name, Port: h.Port, TLSConfig: config})
		}
	}
	return c, nil
}

// expect accepts a server that answers the query as wanted. The driver's own functions
// for that panic where a server answers with no rows.
func expect(query, want, otherwise string) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, c *pgconn.PgConn) error {
		r := c.ExecParams(ctx, query, nil, nil, nil, nil).Read()
		switch {
		case r.Err != nil:
			return r.Err
		case len(r.Rows) != 1 || len(r.Rows[0]) != 1:
			return breach("%d rows in answer to %s", len(r.Rows), query)
		case string(r.Rows[0][0]) != want:
			return errors.New(otherwise)
		}
		return nil
	}
}

// shakeHands does at once what the driver would with its first message, and has
// a check know of it.
func shakeHands(ctx context.Context, _ *pgconn.Config, c net.Conn) (net.Conn, error) {
	s, ok := c.(*tls.Conn)
	if !ok {
		return c, nil
	}
	err := s.HandshakeContext(ctx)
	farside.Shook(ctx, s.ConnectionState(), err)
	return s, err
}
