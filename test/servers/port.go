package servers

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
)

// port is a loopback port that no other process gets: a socket is bound to it and never listens. With
// SO_REUSEADDR on both, which every server here sets, Linux lets the server bind and listen beside it.
// The kernel gives the port to nobody who asks for any port. So there is no gap between choosing a port
// and using it.
type port struct {
	number int
	fd     int
}

func reserve() (port, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return port{}, fmt.Errorf("reserve a port: %w", os.NewSyscallError("socket", err))
	}
	err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	if err == nil {
		err = os.NewSyscallError("bind", syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		syscall.Close(fd)
		return port{}, fmt.Errorf("reserve a port: %w", err)
	}
	return port{name.(*syscall.SockaddrInet4).Port, fd}, nil
}

// Address is a loopback address, host:port, for a process that the test starts by itself. Nobody else
// gets it until the test ends.
func Address(tb testing.TB) string {
	tb.Helper()
	p, err := reserve()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.release)
	return p.addr()
}

// release gives the port back. A server that may be started again keeps it.
func (p port) release() { syscall.Close(p.fd) }

func (p port) addr() string   { return "127.0.0.1:" + p.String() }
func (p port) String() string { return strconv.Itoa(p.number) }
