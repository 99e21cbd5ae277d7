package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary, started again with this variable, starts a server and dies in the way that the
// variable names.
const dying = "SERVERS_TEST_DIES_BY"

func TestMain(m *testing.M) {
	if how := os.Getenv(dying); how != "" {
		die(how)
	}
	m.Run()
}

// startFamily starts a server that has a child, and returns the pids of both.
func startFamily() (p *process, server, child int, err error) {
	dir, err := newDir("family")
	if err != nil {
		return nil, 0, 0, err
	}
	p, err = launch(command{
		name: "family", path: "/bin/sh", args: []string{"-c", "sleep 1000 & echo $$ $!; wait"}, quit: syscall.SIGTERM,
		ready: func(context.Context) error {
			log, err := os.ReadFile(filepath.Join(dir, "log"))
			if err != nil {
				return err
			}
			_, err = fmt.Sscanln(string(log), &server, &child)
			return err
		},
	}, dir)
	return p, server, child, err
}

func die(how string) {
	p, server, child, err := startFamily()
	if err != nil {
		panic(err)
	}
	fmt.Println(p.dir, server, child)
	switch how {
	case "panic":
		panic("on purpose")
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	os.Exit(0)
}

func TestNothingOutlivesTheTestProcess(t *testing.T) {
	for _, how := range []string{"panic", "kill", "exit"} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), dying+"="+how)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var dir string
			var server, child int
			if _, err := fmt.Fscan(bufio.NewReader(out), &dir, &server, &child); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			awaitGone(t, dir, server, child)
		})
	}
}

func TestCloseEndsTheServerAndItsChildren(t *testing.T) {
	p, server, child, err := startFamily()
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	awaitGone(t, p.dir, server, child)
}

// awaitGone waits until the folder is gone and the processes have ended.
func awaitGone(t *testing.T, dir string, pids ...int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		_, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) && !slices.ContainsFunc(pids, alive) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("of the processes %v some run, or %s is there: %v", pids, dir, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive says whether a process runs; a zombie has ended.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestAFailedStartShowsTheLogAndLeavesNothing(t *testing.T) {
	dir, err := newDir("fails")
	if err != nil {
		t.Fatal(err)
	}
	_, err = launch(command{
		name: "fails", path: "/bin/sh", args: []string{"-c", "echo out of luck; exit 3"}, quit: syscall.SIGTERM,
		ready: func(context.Context) error { return errors.New("not yet") },
	}, dir)
	if err == nil || !strings.Contains(err.Error(), "out of luck") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("launch: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder: %v", err)
	}
}

func TestAReservedPortIsOnlyOurs(t *testing.T) {
	p, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer p.release()
	if _, err := net.Dial("tcp", p.addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("before the server: %v", err)
	}
	for range 2 { // a server may come back
		l, err := net.Listen("tcp", p.addr())
		if err != nil {
			t.Fatalf("the server cannot listen: %v", err)
		}
		c, err := net.Dial("tcp", p.addr())
		if err != nil {
			t.Errorf("the server cannot be reached: %v", err)
		} else {
			c.Close()
		}
		l.Close()
	}
	others := map[int]bool{}
	for range 500 {
		q, err := reserve()
		if err != nil {
			t.Fatal(err)
		}
		defer q.release()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, n := range []int{q.number, l.Addr().(*net.TCPAddr).Port} {
			if n == p.number || others[n] {
				t.Fatalf("port %d was given away twice", n)
			}
			others[n] = true
		}
	}
}
