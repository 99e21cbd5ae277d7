package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// StartHAProxy starts Debian's HAProxy with TLS and HTTP/2 for one test, in
// front of backend, a host:port of plain HTTP. frontend is lines of its own.
func StartHAProxy(t testing.TB, id Identity, backend, frontend string) *Web {
	t.Helper()
	return startWeb(t, "https", id, func(s site) (command, error) {
		bin, err := system("haproxy")
		if err != nil {
			return command{}, err
		}
		config := filepath.Join(s.dir, "haproxy.cfg")
		err = os.WriteFile(config, fmt.Appendf(nil, `
global
	maxconn 256
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 30s
	timeout http-keep-alive 1s
frontend front
	bind %s ssl crt %s alpn h2,http/1.1
	%s
	default_backend back
backend back
	server one %s
`, s.port.addr(), s.pair, frontend, backend), 0o644)
		return command{name: "haproxy", path: bin, args: []string{"-db", "-f", config}, unprivileged: true}, err
	})
}

// StartBalancer starts Debian's HAProxy over plain HTTP for one test, before daemons that it asks for
// /readyz twice a second, as an operator would have it do. It mends nothing: a connection that a daemon
// does not take is an answer of 503.
func StartBalancer(t testing.TB, daemons ...string) *Web {
	t.Helper()
	return startWeb(t, "http", Identity{}, func(s site) (command, error) {
		bin, err := system("haproxy")
		if err != nil {
			return command{}, err
		}
		var list strings.Builder
		for i, addr := range daemons {
			fmt.Fprintf(&list, "\tserver d%d %s check\n", i, addr)
		}
		config := filepath.Join(s.dir, "haproxy.cfg")
		err = os.WriteFile(config, fmt.Appendf(nil, `
global
	maxconn 1024
defaults
	mode http
	timeout connect 2s
	timeout client 30s
	timeout server 30s
	retries 0
frontend front
	bind %s
	default_backend daemons
backend daemons
	balance roundrobin
	option httpchk GET /readyz
	default-server inter 500ms fall 2 rise 1
%s`, s.port.addr(), &list), 0o644)
		return command{name: "haproxy", path: bin, args: []string{"-db", "-f", config}, unprivileged: true}, err
	})
}
