package pgclient

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// mysqlGreets is the first packet of a MySQL server, with as many bytes as its
// version makes it have: any of them may be the byte of one of PostgreSQL's messages.
func mysqlGreets(length byte) string {
	return string([]byte{length, 0, 0, 0, 10}) + strings.Repeat("8", int(length)-1)
}

// TestStrangersAreNamed: whatever answers that is no PostgreSQL is not taken for
// one without TLS, or for one that breaks its protocol.
func TestStrangersAreNamed(t *testing.T) {
	greetings := map[string]string{
		"HTTP/1.1 400 Bad Request\r\n\r\n": "a web server", "SSH-2.0-OpenSSH_9.2\r\n": "an SSH server",
		"-ERR unknown command\r\n": "Redis", "220 mail.example ESMTP\r\n": "a mail or file server", "hello there": "something else",
		"\x17\x00\x00\x00\xff\x10\x04Too many connections": "MySQL or MariaDB",
	}
	for length := byte(60); length < 130; length++ {
		greetings[mysqlGreets(length)] = "MySQL or MariaDB"
	}
	for greeting, is := range greetings {
		for _, mode := range []string{farside.Disable, farside.Require} {
			err := connectTo(t, mode, greeting)
			if class, _ := destination.ClassOf(err); class != destination.Misconfigured {
				t.Errorf("%s, %.20q: %v is %v", mode, greeting, err, class)
			}
			s, ok := errors.AsType[*Stranger](err)
			if !ok || !strings.Contains(s.Error(), is+" and no PostgreSQL") {
				t.Errorf("%s, %.20q: %v, want %q", mode, greeting, err, is)
			}
		}
	}
}

// TestNoErrorLacksItsText: the driver words some with none of its own.
func TestNoErrorLacksItsText(t *testing.T) {
	for _, kind := range "TD123CIntsRSKZENvVXdcfGHWA" {
		for _, body := range []string{"", "\x00\x00\x00\x00", "\x00\x00\x00\x09", "\x00\x00\x00\x0aSCRAM", "\x00\x00\x00\x0c", "S\x00\x00"} {
			if kind != 'R' {
				body = "\x00\x00\x00\x00" + message(byte(kind), body)[5:]
			}
			err := connectTo(t, farside.Disable, message('R', "\x00\x00\x00\x00")+message(byte(kind), body))
			if err == nil || strings.Contains(err.Error(), "%!") {
				t.Errorf("%q %q: %v", kind, body, err)
			}
		}
	}
}

// connectTo connects to who says nothing but greeting.
func connectTo(t *testing.T, mode, greeting string) error {
	t.Helper()
	target := New()
	target.Hosts = []farside.Host{{Name: "db.example", Port: 5432}}
	target.User, target.Database, target.TLS.Mode = "u", "d", mode
	c, err := target.Config(func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() { // a pipe has no buffer
			for buf := make([]byte, 4096); ; {
				if _, err := far.Read(buf); err != nil {
					return
				}
			}
		}()
		go func() {
			defer far.Close()
			_, _ = far.Write([]byte(greeting))
		}()
		return near, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = pgconn.ConnectConfig(ctx, c)
	return err
}
