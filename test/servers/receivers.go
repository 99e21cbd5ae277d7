package servers

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
)

// StartNode starts a receiver in Node.js for one test. mode is http, or http2 (with TLS, HTTP/1.1 too).
// With -early at its end the receiver answers first and reads slowly afterwards. It keeps connections
// for a second.
func StartNode(t testing.TB, id Identity, mode string) *Web {
	t.Helper()
	scheme := "http"
	if mode == "http2" || mode == "http2-early" {
		scheme = "https"
	}
	return startWeb(t, scheme, id, func(s site) (command, error) {
		bin, _, err := node()
		if err != nil {
			return command{}, err
		}
		script, err := receiver("node", "receiver.mjs")
		return command{name: "node " + mode, path: bin, args: []string{script, mode, s.port.String(), s.cert, s.key, filepath.Join(s.dir, arrivals)}}, err
	})
}

// StartGunicorn starts a receiver in Debian's gunicorn for one test, with args of
// its own. With secure it speaks TLS.
func StartGunicorn(t testing.TB, id Identity, secure bool, args ...string) *Web {
	t.Helper()
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return startWeb(t, scheme, id, func(s site) (command, error) {
		bin, err := system("gunicorn")
		if err != nil {
			return command{}, err
		}
		folder, err := receiver("python")
		all := append([]string{"--bind", s.port.addr(), "--pythonpath", folder, "--worker-tmp-dir", s.dir, "--graceful-timeout", "1"}, args...)
		if secure {
			all = append(all, "--certfile", s.cert, "--keyfile", s.key)
		}
		env := []string{"ARRIVALS=" + filepath.Join(s.dir, arrivals), "PYTHONDONTWRITEBYTECODE=1"}
		return command{name: "gunicorn", path: bin, args: append(all, "receiver:app"), env: env}, err
	})
}

// StartJDK starts a receiver in the JDK's own server, com.sun.net.httpserver, for
// one test. It keeps connections for about a second.
func StartJDK(t testing.TB, id Identity) *Web {
	t.Helper()
	return startWeb(t, "http", id, func(s site) (command, error) {
		bin, err := exec.LookPath("java")
		if err != nil {
			return command{}, errors.New("java is not installed: run make setup")
		}
		source, err := receiver("java", "Receiver.java")
		return command{name: "JDK", path: bin, args: []string{
			"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-Dsun.net.httpserver.idleInterval=1", "-Dsun.net.httpserver.clockTick=100",
			source, s.port.String(), filepath.Join(s.dir, arrivals),
		}}, err
	})
}
