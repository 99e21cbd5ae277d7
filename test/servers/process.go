// Package servers starts the real servers that tests talk to, on loopback ports of their own, and makes
// sure that they end. A server is started at the first test of a process that asks for it, and serves
// the rest of that process. What a test gets of it (a database, a bucket) belongs to that test alone.
// Environment variables name servers to use instead: README.md lists them.
//
// The package links no server. Servers are processes of their own, so that tests link fast, and the CPU
// measured in a benchmark is that of the code under test.
package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// startTimeout is what a server may take to be ready. The slowest, LocalStack
// and postgres-meta, took up to 15 s on two busy cores.
const startTimeout = 3 * time.Minute

// command says how a server is started and when it is ready.
type command struct {
	name         string // in messages
	path         string
	args         []string
	env          []string       // in addition to baseEnv
	quit         syscall.Signal // asks for a quick, orderly end
	kill         syscall.Signal // ends it as a crash would; of private servers only
	unprivileged bool           // databases refuse to run as root
	files        []*os.File     // that it gets as descriptors 3 and up; closed here once it has started
	ready        func(context.Context) error
}

// process is a server that runs, or ran, in a folder of its own.
type process struct {
	command
	dir    string
	reaper *reaper
	cmd    *exec.Cmd
	done   chan struct{} // closed when cmd has ended
}

// newDir makes the folder of a process: its data, its log, its HOME.
func newDir(name string) (string, error) {
	return os.MkdirTemp("", "fantail-"+name+"-")
}

// newMemoryDir is newDir in memory, where there is enough of it: for servers that sync nothing, and make
// and copy thousands of small files.
func newMemoryDir(name string) (string, error) {
	const shared, tmpfs, enough = "/dev/shm", 0x01021994, 1 << 30
	var fs syscall.Statfs_t
	if err := syscall.Statfs(shared, &fs); err != nil || uint32(fs.Type) != tmpfs || fs.Bavail*uint64(fs.Bsize) < enough {
		return newDir(name)
	}
	dir, err := os.MkdirTemp(shared, "fantail-"+name+"-")
	if err != nil {
		return newDir(name)
	}
	return dir, nil
}

// launch starts c in dir, which it owns from now on. It removes dir when the process is closed, when
// the start fails, and when the test process ends in any way.
func launch(c command, dir string) (*process, error) {
	r, err := newReaper(dir, c.quit)
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	p := &process{command: c, dir: dir, reaper: r}
	if err := p.start(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// start runs the command and waits until it is ready.
func (p *process) start() error {
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir = p.dir
	cmd.Env = append(baseEnv(p.dir), p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = p.files
	cmd.SysProcAttr, err = attributes(p.unprivileged, p.dir)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	cmd.SysProcAttr.Pdeathsig = p.quit
	started, done := make(chan error), make(chan struct{})
	go func() {
		// Pdeathsig fires when the thread that forked ends, not when the process does. This goroutine keeps its
		// thread for as long as the server runs.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(done)
	}()
	err = <-started
	for _, f := range p.files {
		f.Close() // its end has to be seen here
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.done = cmd, done
	p.reaper.watch(cmd.Process.Pid)
	return p.awaitReady()
}

func (p *process) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("start %s: it ended (%s); the end of its log:\n%s", p.name, p.cmd.ProcessState, p.logTail(0))
		case <-ctx.Done():
			return fmt.Errorf("start %s: not ready after %s: %w; the end of its log:\n%s", p.name, startTimeout, err, p.logTail(0))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// signal sends a signal that ends the process, and waits. A process that does not end within 10 s is
// killed.
func (p *process) signal(s syscall.Signal) {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(s) // an error: it has ended
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // whatever it left behind
	<-p.done
	p.cmd = nil
	p.reaper.watch(0)
}

// close ends the process and removes its folder.
func (p *process) close() {
	p.signal(p.quit)
	p.reaper.close()
}

func (p *process) logFile() string { return filepath.Join(p.dir, "log") }

// logTail returns the last 8 KiB of what was logged after the first from bytes.
func (p *process) logTail(from int64) string {
	b, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	b = b[min(from, int64(len(b))):]
	return string(b[max(0, len(b)-8<<10):])
}

func (p *process) logSize() int64 {
	i, err := os.Stat(p.logFile())
	if err != nil {
		return 0
	}
	return i.Size()
}

// run runs a command to its end, as p's process would run.
func run(unprivileged bool, dir, path string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, baseEnv(dir)
	attr, err := attributes(unprivileged, dir)
	if err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	cmd.SysProcAttr = attr
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", path, err, out)
	}
	return nil
}

// baseEnv is the whole environment of a server: no proxy, no cloud credentials and no settings of other
// clients reach it.
func baseEnv(dir string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LANG=C.UTF-8"}
}

// attributes puts a command in a process group of its own, out of reach of the terminal's signals. When
// the tests run as root, servers that refuse root run as nobody, who gets dir.
func attributes(unprivileged bool, dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if !unprivileged || os.Geteuid() != 0 {
		return attr, nil
	}
	uid, gid, err := nobody()
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, nil
}
