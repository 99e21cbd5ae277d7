package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child that we started and end by its pid.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err written
}

// written is standard error, which may be read while the process writes.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func startProcess(name string, args ...string) (*process, error) {
	p := &process{Cmd: exec.Command(name, args...)}
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.Stderr = &p.err
	var err error
	if p.in, err = p.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(out, 1<<20)
	return p, p.Start()
}

// stop asks the process to stop as an operator would, and waits for it.
func (p *process) stop() error {
	p.Process.Signal(syscall.SIGTERM)
	return p.end()
}

// end closes standard input, which ends a sink or a loader, waits, and after a while kills.
func (p *process) end() error {
	p.in.Close()
	kill := time.AfterFunc(40*time.Second, func() { p.Process.Kill() })
	defer kill.Stop()
	io.Copy(io.Discard, p.out)
	err := p.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && p.err.String() != "" {
		return fmt.Errorf("%w: %s", err, lastLines(p.err.String(), 5))
	}
	return err
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// cpu returns how long the process has run on a processor.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		return 0, err
	}
	// After the name in parentheses: state is field 3, utime 14 and stime 15, in 1/100 s.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// peakRSS returns the most memory the process has held, in bytes.
func (p *process) peakRSS() (int64, error) { return p.memory("VmHWM") }

// memory returns a figure of /proc about the process's memory, in bytes: VmRSS, VmHWM.
func (p *process) memory(name string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc", name)
}

// forgetPeak resets VmHWM.
func (p *process) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.Process.Pid), []byte("5"), 0o200)
}

// log returns what the process has written to standard error.
func (p *process) log() string { return p.err.String() }
