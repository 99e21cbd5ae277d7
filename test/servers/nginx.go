package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// StartNginx starts Debian's nginx with TLS and HTTP/2 for one test; directives
// are those of its one server block.
func StartNginx(t testing.TB, id Identity, directives string) *Web {
	t.Helper()
	return startWeb(t, "https", id, func(s site) (command, error) {
		bin, err := system("nginx")
		if err != nil {
			return command{}, err
		}
		listen, err := listenH2(bin, s.port.addr())
		if err != nil {
			return command{}, err
		}
		var temporary strings.Builder
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			fmt.Fprintf(&temporary, "%s_temp_path %s;\n", kind, filepath.Join(s.dir, kind))
		}
		config := filepath.Join(s.dir, "nginx.conf")
		err = os.WriteFile(config, fmt.Appendf(nil, `
daemon off;
pid %[1]s/pid;
error_log stderr warn;
events { worker_connections 512; }
http {
	%[2]s
	log_format line '$http_x_terra_trace_id $status $server_protocol';
	access_log %[1]s/%[3]s line;
	ssl_certificate %[4]s;
	ssl_certificate_key %[5]s;
	server {
		%[6]s
		%[7]s
	}
}`, s.dir, temporary.String(), arrivals, s.cert, s.key, listen, directives), 0o644)
		return command{name: "nginx", path: bin, args: []string{"-p", s.dir, "-e", "stderr", "-c", config}, unprivileged: true, quit: syscall.SIGTERM}, err
	})
}

var nginxVersion = regexp.MustCompile(`nginx/(\d+)\.(\d+)\.(\d+)`)

// listenH2 is how this nginx is told to listen with HTTP/2, which changed with 1.25.1.
func listenH2(bin, addr string) (string, error) {
	out, err := exec.Command(bin, "-v").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask nginx for its version: %w", err)
	}
	found := nginxVersion.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("nginx says %q of its version", out)
	}
	version := 0
	for _, part := range found[1:] {
		n, _ := strconv.Atoi(string(part)) // digits
		version = version*1000 + n
	}
	if version < 1_025_001 {
		return "listen " + addr + " ssl http2;", nil
	}
	return "listen " + addr + " ssl; http2 on;", nil
}

// Reload has nginx read its settings again. Old workers end when they are done with their connections,
// and new ones take over.
func (w *Web) Reload() {
	w.t.Helper()
	if err := w.p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		w.t.Fatal(err)
	}
}

// Logged are the lines of nginx's access log: trace id, status, protocol.
func (w *Web) Logged() []string { return w.lines() }
