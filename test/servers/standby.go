package servers

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// Standby starts a standby of s, by streaming replication under name, which is what
// synchronous_standby_names calls it. It asks via for the log, a host:port; "" is s itself. It ends
// with t.
func (s *Private) Standby(t testing.TB, name, via string) *Private {
	t.Helper()
	dir, err := newMemoryDir("postgres")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Dir(s.p.path)
	if err := s.backup(bin, dir, name, via); err != nil {
		os.RemoveAll(dir)
		t.Fatal(err)
	}
	at, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.release)
	p, err := launchPostgres(at, bin, dir)
	if err != nil {
		t.Fatalf("start a standby: %v", err)
	}
	t.Cleanup(p.close)
	p.showLog(t)
	standby := &Private{DSN: postgresURL(at.addr()), t: t, p: p}
	standby.Set("synchronous_standby_names", "")
	return standby
}

// Follow makes a server that has ended a standby of another, at its own address. What it had goes.
func (s *Private) Follow(primary *Private, name, via string) {
	s.t.Helper()
	err := os.RemoveAll(filepath.Join(s.p.dir, "data"))
	if err == nil {
		err = primary.backup(filepath.Dir(s.p.path), s.p.dir, name, via)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.Start()
	s.Set("synchronous_standby_names", "") // the primary's are copied, too
}

// backup copies s into the folder data of dir, as a standby begins. The replication slot has s keep
// what the standby has not got yet, however long it stands still.
func (s *Private) backup(bin, dir, name, via string) error {
	u, err := url.Parse(s.DSN)
	if err != nil {
		return err
	}
	if via != "" {
		u.Host = via
	}
	u.RawQuery = url.Values{"sslmode": {"disable"}, "application_name": {name}}.Encode()
	return run(true, dir, filepath.Join(bin, "pg_basebackup"), "-d", u.String(), "-D", filepath.Join(dir, "data"),
		"--write-recovery-conf", "--wal-method=stream", "--create-slot", "--slot="+name, "--checkpoint=fast", "--no-sync")
}

// Set changes a setting of the server for good.
func (s *Private) Set(name, value string) {
	s.t.Helper()
	query(s.t, s.DSN, fmt.Sprintf("ALTER SYSTEM SET %s = '%s'", name, value))
	query(s.t, s.DSN, "SELECT pg_reload_conf()")
}

// Synchronous has every commit of s wait for the standby of that name, and waits until that is so.
func (s *Private) Synchronous(name string) {
	s.t.Helper()
	s.Set("synchronous_standby_names", name)
	s.await("the standby is synchronous", "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND sync_state = 'sync')", name)
}

// CaughtUp waits until the standby of that name has all that s has now.
func (s *Private) CaughtUp(name string) {
	s.t.Helper()
	var now string
	s.ask(&now, "SELECT pg_current_wal_lsn()::text")
	s.await("the standby has caught up", "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND replay_lsn >= $2::pg_lsn)", name, now)
}

// Promote makes the standby a primary that takes writes.
func (s *Private) Promote() {
	s.t.Helper()
	query(s.t, s.DSN, "SELECT pg_promote()")
	s.await("it takes writes", "SELECT NOT pg_is_in_recovery()")
}

// Lose ends every process of the server by SIGKILL, as when its machine is lost.
func (s *Private) Lose() {
	s.t.Helper()
	losePostgres(filepath.Join(s.p.dir, "data"))
	s.p.signal(syscall.SIGKILL)
}

// losePostgres kills the server of a data folder, if it runs. Its shared memory would stay until the next
// start, which may never come.
func losePostgres(data string) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(lines[0])
	command, gone := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || gone != nil || !strings.Contains(string(command), data) { // the file outlives the server
		return
	}
	syscall.Kill(pid, syscall.SIGSTOP) // it starts no more children
	for _, one := range family(pid) {
		syscall.Kill(one, syscall.SIGKILL) // an error: it has ended
	}
	if len(lines) > 6 {
		if fields := strings.Fields(lines[6]); len(fields) == 2 {
			if id, err := strconv.Atoi(fields[1]); err == nil {
				_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
			}
		}
	}
}

func (s *Private) ask(to any, sql string, args ...any) {
	s.t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, s.DSN)
	if err != nil {
		s.t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer c.Close(ctx)
	if err := c.QueryRow(ctx, sql, args...).Scan(to); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// await polls until sql says true.
func (s *Private) await(what, sql string, args ...any) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(startTimeout); ; <-tick.C {
		var ok bool
		if s.ask(&ok, sql, args...); ok {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
	}
}
