package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"net"
	"time"

	api "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// connectTime is what a connection gets to be greeted and to agree on TLS.
const connectTime = 15 * time.Second

// dialer makes connections for the driver.
type dialer struct {
	target *target
	dial   destination.DialFunc
	tls    *tls.Config // nil: none
	config *api.Config // of the driver
}

// newDialer sets up the driver. Nothing of it goes through the driver's
// registries, which all destinations of the process would share.
func newDialer(t *target, dial destination.DialFunc) (*dialer, error) {
	c := api.NewConfig()
	c.User, c.Passwd, c.Addr, c.DBName = t.user, t.password.Reveal(), t.host.String(), t.database
	c.Timeout = connectTime
	c.Logger = &api.NopLogger{} // its errors come back, too
	c.InterpolateParams = true  // one round trip each; poolers cannot keep prepared statements
	// Text that does not fit is an error, not cut; quotes are quotes.
	c.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES'"}
	config, err := t.tls.Config(t.host.Name)
	if err != nil {
		return nil, err
	}
	// The driver would start TLS above what its dialer returns, where nobody could
	// look at what the server says. So TLS is ours, and the driver is told of the
	// one transport that it takes for as private: it sends the password in the
	// clear to who asks for it in there (caching_sha2_password), as it does within
	// a TLS of its own, and encrypts it by RSA without.
	c.Net = "tcp"
	if config != nil {
		c.Net = "unix"
	}
	if err := c.Apply(api.Charset("utf8mb4", "")); err != nil {
		return nil, err
	}
	d := &dialer{t, dial, config, c}
	_, err = api.NewConnector(c)
	if err != nil {
		return nil, errors.New("set up the MySQL driver: it refuses the settings") // its text may quote them
	}
	return d, nil
}

// connect opens a session over a wire of its own, which it hands over first.
func (d *dialer) connect(ctx context.Context, connected func(*wire)) (driver.Conn, error) {
	c := d.config.Clone()
	c.DialFunc = func(ctx context.Context, _, address string) (net.Conn, error) {
		w, err := d.open(ctx, address)
		if err != nil {
			return nil, err
		}
		connected(w)
		return w, nil
	}
	connector, err := api.NewConnector(c)
	if err != nil {
		return nil, errors.New("set up the MySQL driver: it refuses the settings")
	}
	return connector.Connect(ctx)
}

// open connects to the server, is greeted and agrees on TLS.
func (d *dialer) open(ctx context.Context, address string) (*wire, error) {
	c, err := d.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w, err := d.greet(ctx, c)
	if err != nil {
		c.Close()
		return nil, err
	}
	return w, nil
}

func (d *dialer) greet(ctx context.Context, c net.Conn) (*wire, error) {
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })
	defer stop()
	g, err := readGreeting(c)
	if err != nil {
		if _, silent := errors.AsType[*silence](err); silent && ctx.Err() != nil {
			err = &silence{context.Cause(ctx)}
		} else if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	w := newWire(c, c, g)
	switch {
	case g.refusal || d.tls == nil:
	case !g.takesTLS():
		return nil, api.ErrNoTLS
	default:
		if _, err := c.Write(g.requestTLS()); err != nil {
			return nil, err
		}
		s := tls.Client(c, d.tls)
		err := s.HandshakeContext(ctx)
		state := s.ConnectionState()
		state.ServerName = d.target.host.Name // it has none for an address
		farside.Shook(ctx, state, err)
		if err != nil {
			return nil, err
		}
		w = newWire(s, c, g)
		w.private(d.config.Passwd)
	}
	if !stop() { // it is over, and the deadline is set, or will be
		return nil, context.Cause(ctx)
	}
	return w, nil
}
