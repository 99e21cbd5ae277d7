package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// database is a PostgreSQL of the run's own, beside its other files on the real disk. Nothing is
// switched off: fsync, full_page_writes and synchronous_commit are on.
type database struct {
	*process
	url string
}

// databaseSettings are those that are not PostgreSQL's defaults.
var databaseSettings = []string{"shared_buffers=512MB", "max_wal_size=4GB", "wal_compression=off", "max_connections=100", "unix_socket_directories="}

const databasePassword = "the-password-of-the-load-test"

// startDatabase makes a cluster in dir and starts it.
func startDatabase(ctx context.Context, dir string) (*database, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data, password := filepath.Join(dir, "data"), filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(databasePassword), 0o644); err != nil { // read by who owns dir
		return nil, err
	}
	run := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "fantail", "-A", "scram-sha-256", "--pwfile="+password, "-E", "UTF8", "--locale=C.UTF-8")
	run.Dir, run.SysProcAttr = dir, attr
	if out, err := run.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	at, err := url.Parse("postgres://" + listen + "/postgres?sslmode=disable")
	if err != nil {
		return nil, err
	}
	at.User = url.UserPassword("fantail", databasePassword)
	args := []string{"-D", data, "-p", at.Port(), "-c", "listen_addresses=127.0.0.1"}
	for _, s := range databaseSettings {
		args = append(args, "-c", s)
	}
	d := &database{process: &process{Cmd: exec.CommandContext(ctx, filepath.Join(bin, "postgres"), args...)}, url: at.String()}
	attr.Pdeathsig = syscall.SIGQUIT
	d.Dir, d.SysProcAttr, d.Stderr, d.Stdout = dir, attr, &d.err, &d.err
	d.Cancel = func() error { return d.Process.Signal(syscall.SIGINT) }
	if err := d.Start(); err != nil {
		return nil, err
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err = d.ask(ctx, "SELECT 1::bigint"); err == nil {
			return d, nil
		}
		if time.Since(began) > time.Minute || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("the database did not get ready in a minute: %w: %s", err, lastLines(d.log(), 5)), d.stop())
		}
	}
}

// postgresPrograms is the folder of the newest PostgreSQL that is installed.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	newest, version := "", 0
	for _, f := range found {
		if v, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(f)))); v > version {
			newest, version = filepath.Dir(f), v
		}
	}
	if newest != "" {
		return newest, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("-store postgres needs PostgreSQL (apt-get install postgresql): %w", err)
	}
	return filepath.Dir(path), nil
}

// unprivileged makes dir. PostgreSQL refuses to run as root: then dir belongs to nobody.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if err := os.Mkdir(dir, 0o700); err != nil || os.Geteuid() != 0 {
		return attr, err
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	run := filepath.Dir(dir) // both are ours, and nobody has to pass
	for _, ours := range []string{run, filepath.Dir(run)} {
		if err := os.Chmod(ours, 0o711); err != nil {
			return nil, err
		}
	}
	path, err := filepath.Abs(run)
	if err != nil {
		return nil, err
	}
	for above := filepath.Dir(path); above != "/"; above = filepath.Dir(above) {
		if info, err := os.Stat(above); err != nil || info.Mode().Perm()&0o001 == 0 {
			return nil, fmt.Errorf("the database runs as nobody, who may not pass %s: name a folder elsewhere with -dir: %w", above, cmp.Or(err, os.ErrPermission))
		}
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, uid, gid)
}

// stop ends the database in order.
func (d *database) stop() error {
	if err := d.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	kill := time.AfterFunc(40*time.Second, func() { d.Process.Kill() })
	defer kill.Stop()
	return d.Wait()
}

// ask returns the only number of a query.
func (d *database) ask(ctx context.Context, sql string) (n int64, err error) {
	c, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return 0, err
	}
	defer c.Close(ctx)
	return n, c.QueryRow(ctx, sql).Scan(&n)
}

// written is how many bytes the write-ahead log has taken so far.
func (d *database) written(ctx context.Context) (int64, error) {
	return d.ask(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
}

// cpu is how long all processes of the server have run on a processor: those that have ended, too.
func (d *database) cpu() (total time.Duration, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil { // it has ended
			continue
		}
		// After the name in parentheses: parent is field 4, utime 14, stime 15, cutime 16, cstime 17, in 1/100 s.
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		own := filepath.Base(filepath.Dir(file)) == strconv.Itoa(d.Process.Pid)
		if !own && string(f[1]) != strconv.Itoa(d.Process.Pid) {
			continue
		}
		fields := f[11:13]
		if own {
			fields = f[11:15]
		}
		for _, ticks := range fields {
			n, _ := strconv.ParseInt(string(ticks), 10, 64)
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total, nil
}
