package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patroni keeps one of two PostgreSQL servers the primary and the other its synchronous standby, by etcd.
// Each is as its documentation sets them up, but for how soon a primary that is lost is given up.
type Patroni struct {
	t     testing.TB
	nodes [2]*member
}

// member is one server, and the Patroni that runs it.
type member struct {
	name, dir string
	dsn, api  string
	p         *process
}

// StartPatroni starts etcd and two servers for one test. A primary that does not answer is given up after
// 20 s, the least that Patroni allows.
func StartPatroni(t testing.TB) *Patroni {
	t.Helper()
	etcd := startEtcd(t)
	c := &Patroni{t: t}
	for i, name := range []string{"a", "b"} {
		c.nodes[i] = startMember(t, name, etcd)
	}
	c.await("a primary with a synchronous standby", func() bool {
		primary, standby := c.roles()
		return primary != nil && standby != nil
	})
	return c
}

// URLs are those of both servers, as superuser.
func (c *Patroni) URLs() []string { return []string{c.nodes[0].dsn, c.nodes[1].dsn} }

// Primary returns the URL of the server that Patroni says is the primary; "": there is none.
func (c *Patroni) Primary() string {
	if primary, _ := c.roles(); primary != nil {
		return primary.dsn
	}
	return ""
}

// Lose kills the primary with its Patroni, as when their machine is lost.
func (c *Patroni) Lose() (lost int) {
	c.t.Helper()
	primary, _ := c.roles()
	if primary == nil {
		c.t.Fatal("there is no primary to be lost")
	}
	primary.lose()
	if primary == c.nodes[1] {
		return 1
	}
	return 0
}

// Return starts a machine again that was lost, and waits until it is the synchronous standby.
func (c *Patroni) Return(lost int) {
	c.t.Helper()
	n := c.nodes[lost]
	if err := n.p.start(); err != nil {
		c.t.Fatal(err)
	}
	c.await("the server that was lost is the synchronous standby", func() bool {
		primary, standby := c.roles()
		return primary != nil && standby == n
	})
}

// roles asks a member that lives.
func (c *Patroni) roles() (primary, standby *member) {
	for _, asked := range c.nodes {
		var cluster struct {
			Members []struct{ Name, Role, State string }
		}
		if get(asked.api+"/cluster", &cluster) != nil {
			continue
		}
		for _, m := range cluster.Members {
			for _, n := range c.nodes {
				switch {
				case m.Name != n.name || m.State != "running" && m.State != "streaming":
				case m.Role == "leader":
					primary = n
				case m.Role == "sync_standby":
					standby = n
				}
			}
		}
		return primary, standby
	}
	return nil, nil
}

func (c *Patroni) await(what string, done func() bool) {
	c.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * startTimeout); !done(); <-tick.C {
		if time.Now().After(end) {
			c.t.Fatalf("never: %s", what)
		}
	}
}

func get(url string, to any) error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(to)
}

func startEtcd(t testing.TB) (addr string) {
	t.Helper()
	path, err := find("etcd", "/usr/bin")
	if err != nil {
		t.Fatal(fmt.Errorf("%w: run scripts/setup long, or apt-get install etcd-server", err))
	}
	clients, peers := Address(t), Address(t)
	dir, err := newMemoryDir("etcd")
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch(command{
		name: "etcd", path: path, unprivileged: true, quit: syscall.SIGTERM, kill: syscall.SIGKILL,
		args: []string{"--data-dir", filepath.Join(dir, "data"), "--listen-client-urls", "http://" + clients, "--advertise-client-urls", "http://" + clients,
			"--listen-peer-urls", "http://" + peers, "--initial-advertise-peer-urls", "http://" + peers, "--initial-cluster", "default=http://" + peers},
		ready: answers("http://" + clients + "/health"),
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	p.showLog(t)
	return clients
}

const patroniSettings = `
scope: fantail
name: NAME
restapi: { listen: "API", connect_address: "API" }
etcd3: { host: "ETCD" }
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: { wal_log_hints: "on", fsync: "off", full_page_writes: "off", max_connections: 100, max_wal_size: 64MB }
  initdb: [ { encoding: UTF8 }, { locale: C.UTF-8 }, { wal-segsize: "1" } ]
  pg_hba: [ host all all 127.0.0.1/32 scram-sha-256, host replication all 127.0.0.1/32 scram-sha-256 ]
postgresql:
  listen: "SERVER"
  connect_address: "SERVER"
  data_dir: DIR/data
  bin_dir: BIN
  pgpass: DIR/pgpass
  remove_data_directory_on_diverged_timelines: true
  remove_data_directory_on_rewind_failure: true
  authentication:
    superuser: { username: USER, password: PASSWORD }
    replication: { username: replicator, password: PASSWORD }
  parameters: { unix_socket_directories: DIR }
watchdog: { mode: "off" }
`

func startMember(t testing.TB, name, etcd string) *member {
	t.Helper()
	path, err := find("patroni", "/usr/bin")
	if err != nil {
		t.Fatal(fmt.Errorf("%w: run scripts/setup long, or apt-get install patroni", err))
	}
	initdb, err := find("initdb", "/usr/lib/postgresql/*/bin")
	if err != nil {
		t.Fatal(missing("postgresql", "FANTAIL_TEST_POSTGRES_DSN", err))
	}
	server, api := Address(t), Address(t)
	dir, err := newMemoryDir("patroni")
	if err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(dir, "patroni.yml")
	text := strings.NewReplacer("NAME", name, "API", api, "ETCD", etcd, "SERVER", server, "DIR", dir, "BIN", filepath.Dir(initdb),
		"USER", postgresUser, "PASSWORD", postgresPassword).Replace(patroniSettings)
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil { // read by nobody; the folder is closed to others
		os.RemoveAll(dir)
		t.Fatal(err)
	}
	n := &member{name: name, dir: dir, dsn: postgresURL(server), api: "http://" + api}
	n.p, err = launch(command{
		name: "patroni", path: path, args: []string{settings}, unprivileged: true, quit: syscall.SIGTERM, kill: syscall.SIGKILL,
		ready: func(context.Context) error { return get(n.api+"/patroni", &struct{}{}) },
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.p.close)
	t.Cleanup(n.lose) // in order it would wait for the other
	n.p.showLog(t)
	return n
}

// lose kills Patroni first, which would start the server again.
func (n *member) lose() {
	n.p.signal(syscall.SIGKILL)
	losePostgres(filepath.Join(n.dir, "data"))
}
