package supabase

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
)

// listener answers requests whose path cannot be read, as storage's framework does. net/http refuses
// those before any handler. It looks at the first request of a connection.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &first{Conn: c}, err
}

type first struct {
	net.Conn
	seen bool
}

func (f *first) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.seen || n == 0 {
		return n, err
	}
	f.seen = true
	line, _, _ := bytes.Cut(p[:n], []byte("\r\n"))
	parts := strings.Fields(string(line))
	if len(parts) != 3 {
		return n, err
	}
	if _, wrong := url.ParseRequestURI(parts[1]); wrong == nil {
		return n, err
	}
	body := plain(map[string]any{"error": "Bad Request", "code": "FST_ERR_BAD_URL", "message": "'" + strings.TrimPrefix(parts[1], "/storage/v1") + "' is not a valid url component", "statusCode": 400})
	fmt.Fprintf(f.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	return 0, io.EOF
}
