package servers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Freeze stops every process of the server. Until Thaw its connections stay open and nothing answers.
func (s *Private) Freeze() {
	s.t.Helper()
	for stopped := -1; ; {
		all := s.p.all()
		for _, pid := range all {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && err != syscall.ESRCH {
				s.t.Fatalf("freeze: %v", err)
			}
		}
		if len(all) == stopped { // the first was stopped before the others were counted
			return
		}
		stopped = len(all)
	}
}

// Thaw lets the server go on.
func (s *Private) Thaw() {
	for _, pid := range s.p.all() {
		syscall.Kill(pid, syscall.SIGCONT) // an error: it has ended
	}
}

// Full has every write behind the first bytes of a file fail, as it would on a full disk: tables can
// grow no more. It must be more than a segment of PostgreSQL's log, 1 MiB here: without its log a server
// ends. Roomy undoes it.
func (s *Private) Full(bytes int) { s.limit(strconv.Itoa(bytes)) }

// Roomy ends Full.
func (s *Private) Roomy() { s.limit("unlimited") }

// limit has a program of the server's user do it: whoever runs the tests may not.
func (s *Private) limit(bytes string) {
	s.t.Helper()
	for _, pid := range s.p.all() { // those that start later have it from the first
		err := run(true, s.p.dir, "prlimit", "--pid", strconv.Itoa(pid), "--fsize="+bytes+":")
		if err != nil && syscall.Kill(pid, 0) != syscall.ESRCH {
			s.t.Errorf("limit the size of files: %v", err)
		}
	}
}

// all returns the pids of the server's process and its children.
func (p *process) all() []int { return family(p.cmd.Process.Pid) }

// family returns the pids of a process and its children.
func family(parent int) []int {
	pids := []int{parent}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if err != nil { // it has ended
			continue
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 1 && string(fields[1]) == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// Crashed starts a copy of a PostgreSQL with what a failure of its machine would leave now: unwritten
// changes are lost. The server itself goes on; the copy ends with t.
func (s *Private) Crashed(t testing.TB) *Private {
	t.Helper()
	return s.copied(t, nil)
}

// Promoted starts a copy of a PostgreSQL that becomes a primary, as a standby does which has
// replayed all until now. The server itself goes on, and both take writes; the copy ends with t.
func (s *Private) Promoted(t testing.TB) *Private {
	t.Helper()
	standby := s.copied(t, func(data string) error {
		name := filepath.Join(data, "standby.signal")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			return err
		}
		info, err := os.Stat(data)
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		return os.Chown(name, int(owner.Uid), int(owner.Gid))
	})
	query(t, standby.DSN, "SELECT pg_promote()")
	return standby
}

// copied starts a copy of a PostgreSQL, once change has seen its data.
func (s *Private) copied(t testing.TB, change func(data string) error) *Private {
	t.Helper()
	dir, err := newMemoryDir("postgres")
	if err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	out, err := exec.Command("cp", "-a", filepath.Join(s.p.dir, "data"), dir).CombinedOutput()
	s.Thaw()
	if err == nil {
		err = os.Remove(filepath.Join(dir, "data", "postmaster.pid"))
	}
	if err == nil && change != nil {
		err = change(filepath.Join(dir, "data"))
	}
	if err != nil {
		os.RemoveAll(dir)
		t.Fatalf("copy the data: %v %s", err, out)
	}
	at, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.release)
	p, err := launchPostgres(at, filepath.Dir(s.p.path), dir)
	if err != nil {
		t.Fatal(fmt.Errorf("start the copy: %w", err))
	}
	t.Cleanup(p.close)
	return &Private{DSN: postgresURL(at.addr()), t: t, p: p}
}
