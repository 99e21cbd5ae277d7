package pgclient

import (
	"bytes"
	"net"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Stranger is the error of a server that is no PostgreSQL.
type Stranger struct {
	Is string // what it seems to be; "": nobody knows
}

func (s *Stranger) Error() string {
	is := s.Is
	if is == "" {
		is = "something else"
	}
	return "what answers there is " + is + " and no PostgreSQL: set host and port"
}

// What a PostgreSQL server may say first: "Message Flow" of its manual.
const (
	firstOfAll  = "RENv" // authentication, an error, a notice, the version that it speaks
	firstForTLS = "SNE"  // TLS, no TLS, an error
	firstDirect = "\x15\x16"
)

// greeting is a connection that looks at the first words of whoever answers. The
// driver takes those of others for a server that refuses TLS, or for an error
// without a text.
type greeting struct {
	net.Conn
	may   string // bytes that may come first; "": it has come
	words []byte // read, and not handed out yet
}

// NetConn returns the connection below: network.Lend looks for it.
func (g *greeting) NetConn() net.Conn { return g.Conn }

// Read implements io.Reader. What a stranger says comes in one piece, as a rule.
func (g *greeting) Read(p []byte) (int, error) {
	if len(g.words) > 0 {
		n := copy(p, g.words)
		g.words = g.words[n:]
		return n, nil
	}
	if g.may == "" || len(p) == 0 {
		return g.Conn.Read(p)
	}
	first := make([]byte, 64)
	n, err := g.Conn.Read(first)
	if n == 0 {
		return 0, err
	}
	first = first[:n]
	known := bytes.IndexByte([]byte(g.may), first[0]) >= 0
	if is := stranger(first); is != "" || !known {
		return 0, destination.Misconfigure(&Stranger{is})
	}
	g.may = ""
	n = copy(p, first)
	g.words = first[n:]
	return n, nil // an error comes again with the next
}

// stranger names who greets so, "" if nobody does that we know.
func stranger(first []byte) string {
	has := func(prefix string) bool { return bytes.HasPrefix(first, []byte(prefix)) }
	switch {
	// A packet's length, its number and then the protocol's version, or an error.
	case len(first) > 4 && first[2] == 0 && first[3] == 0 && (first[4] == 10 || first[4] == 0xff):
		return "MySQL or MariaDB"
	case has("HTTP/"):
		return "a web server"
	case has("SSH-"):
		return "an SSH server"
	case has("-ERR"), has("-NOAUTH"), has("-DENIED"):
		return "Redis"
	case has("220 "), has("220-"):
		return "a mail or file server"
	}
	return ""
}
