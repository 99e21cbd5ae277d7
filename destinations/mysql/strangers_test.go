package mysql

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestStrangersAreNamed: whoever greets and is no MySQL holds the destination, and
// whoever waits for us, as PostgreSQL does, may be slow and is tried again.
func TestStrangersAreNamed(t *testing.T) {
	postgres, err := url.Parse(servers.StartPostgres(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host, greets string
		class        destination.Class
		says         string
	}{
		{"", "HTTP/1.1 400 Bad Request\r\n\r\n", destination.Misconfigured, "is a web server and neither MySQL nor MariaDB: set host and port"},
		{"", "SSH-2.0-OpenSSH_9.2p1\r\n", destination.Misconfigured, "an SSH server"},
		{"", "-ERR unknown command\r\n", destination.Misconfigured, "Redis"},
		{"", "220 mail.example ESMTP\r\n", destination.Misconfigured, "a mail or file server"},
		{"", "hello there\r\n", destination.Transient, "does not keep to the protocol"},
		{"", "", destination.Transient, "see that host and port are those of a MySQL"},
		{postgres.Host, "", destination.Transient, "no answer in time; nobody has greeted us: if this goes on, see that host and port are those of a MySQL"},
	} {
		for _, mode := range []string{farside.Disable, farside.Require} {
			host, patience := tt.host, time.Second // until it ends, nobody greets
			if host == "" {
				host, patience = greeter(t, tt.greets), time.Minute
			}
			c := defaults()
			c.Host, c.Database, c.User, c.TLS.Mode = host, "d", "u", mode
			f := &far{conf: c, store: sqltablestest.NewStore()}
			m := f.open(t)
			for what, try := range map[string]func(context.Context) error{
				"send":  func(ctx context.Context) error { _, err := m.Send(ctx, plain(t, 1)); return err },
				"check": m.Check,
			} {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				err := try(ctx)
				cancel()
				if class, _ := destination.ClassOf(err); err == nil || class != tt.class || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "%!") {
					t.Errorf("%s, %q, %s: %v; want %q", what, tt.greets, mode, err, tt.says)
				}
			}
		}
	}
}

// greeter listens for connections, says greets and ends.
func greeter(t *testing.T, greets string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, greets)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}
