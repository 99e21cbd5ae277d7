package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// asRoot runs the rest of a test as root, which changing into a folder as the root of a system takes.
// Who is not root runs it again in a user namespace with ids of their own; false: that was done.
func asRoot(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() == 0 {
		return true
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--map-auto", "--", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("as root of a user namespace (needs root, or user namespaces with /etc/subuid and newuidmap): %v\n%s", err, out)
	}
	return false
}

// system is a folder that is the root of a system.
type system struct {
	t   *testing.T
	dir string
}

// newSystem is one with files of this machine: what Debian has in every system, as far as the scripts of
// a package need it, and with dpkg's word that the packages are there that this one depends on.
func newSystem(t *testing.T, dependencies ...string) *system {
	t.Helper()
	s := &system{t, filepath.Join(t.TempDir(), "root")}
	for _, dir := range []string{"etc", "tmp", "dev", "usr/bin", "usr/sbin", "usr/lib", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		s.folder(dir, 0o755)
	}
	for _, name := range []string{"bin", "sbin", "lib"} {
		if err := os.Symlink("usr/"+name, s.at(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "getent", "groupadd", "useradd", "install", "stat", "chgrp", "rm", "kill"} {
		at, err := exec.LookPath(name)
		if err != nil {
			if at, err = exec.LookPath("/usr/sbin/" + name); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), "ldd", at).Output()
		if err != nil {
			t.Fatalf("ldd %s: %v", at, err)
		}
		s.copy(at)
		for _, lib := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
			s.copy(lib[1])
		}
	}
	s.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)
	s.write("etc/group", "root:x:0:\n", 0o644)
	s.write("etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640)
	s.write("etc/gshadow", "root:*::\n", 0o640)
	s.write("etc/nsswitch.conf", "passwd: files\ngroup: files\n", 0o644)
	s.write("dev/null", "", 0o666)
	var status strings.Builder
	for _, name := range dependencies {
		out, err := exec.CommandContext(t.Context(), "dpkg-query", "--status", name).Output()
		if err != nil {
			t.Fatalf("this machine lacks the package %s: %v", name, err)
		}
		status.Write(out)
		status.WriteByte('\n')
	}
	s.write("var/lib/dpkg/status", status.String(), 0o644)
	s.write("var/lib/dpkg/available", "", 0o644)
	return s
}

func (s *system) at(path string) string { return filepath.Join(s.dir, path) }

func (s *system) folder(path string, mode os.FileMode) {
	s.t.Helper()
	if err := errors.Join(os.MkdirAll(s.at(path), 0o755), os.Chmod(s.at(path), mode)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) write(path, text string, mode os.FileMode) {
	s.t.Helper()
	s.folder(filepath.Dir(path), 0o755)
	if err := errors.Join(os.WriteFile(s.at(path), []byte(text), mode), os.Chmod(s.at(path), mode)); err != nil {
		s.t.Fatal(err)
	}
}

// copy takes over a file of this machine, with what its links lead to.
func (s *system) copy(path string) {
	s.t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.MkdirAll(s.at(filepath.Dir(path)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.at(path), body, 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) read(path string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.at(path))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// owned fails unless a file belongs to whom it should, with this mode.
func (s *system) owned(path string, uid, gid uint32, mode os.FileMode) {
	s.t.Helper()
	info, err := os.Stat(s.at(path))
	if err != nil {
		s.t.Error(err)
		return
	}
	at := info.Sys().(*syscall.Stat_t)
	if at.Uid != uid || at.Gid != gid || info.Mode()&(os.ModePerm|os.ModeSticky) != mode {
		s.t.Errorf("%s belongs to %d:%d with %v, want %d:%d with %v", path, at.Uid, at.Gid, info.Mode(), uid, gid, mode)
	}
}

func (s *system) gone(paths ...string) {
	s.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(s.at(path)); !errors.Is(err, os.ErrNotExist) {
			s.t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// command is a program of this system, as a user without rights.
func (s *system) command(uid, gid uint32, dir string, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), argv[0], argv[1:]...)
	cmd.Path = argv[0]
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: s.dir, Credential: &syscall.Credential{Uid: uid, Gid: gid}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// safeBuffer is what a process says while a test reads along.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// daemon starts what serves, and returns a client of it once it is ready. stop ends it as systemd and
// Docker do, and fails unless it ends well.
func (s *system) daemon(cmd *exec.Cmd, address string) (c *client.Client, stop func()) {
	s.t.Helper()
	var log safeBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start %v: %v", cmd.Args, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	c, err := client.New("http://"+address, "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for tick := time.Tick(50 * time.Millisecond); ; {
		err := c.Ready(s.t.Context())
		if err == nil {
			break
		}
		select {
		case why := <-ended:
			s.t.Fatalf("the daemon ended: %v\n%s", why, &log)
		case <-s.t.Context().Done():
			s.t.Fatalf("the daemon is not ready: %v\n%s", err, &log)
		case <-tick:
		}
	}
	return c, func() {
		s.t.Helper()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			s.t.Errorf("the daemon ended with %v\n%s", err, &log)
		}
	}
}

// number is a number in a text.
func number(t *testing.T, text string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatal(fmt.Errorf("want a number: %w", err))
	}
	return uint32(n)
}
