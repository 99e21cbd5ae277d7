//go:build unix

package exchange

import "syscall"

// look tells, without waiting, whether bytes wait to be read at a socket, and
// whether the far side has it open still.
func look(s syscall.RawConn) (waiting, open bool) {
	err := s.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waiting = n > 0
		open = waiting || err == syscall.EAGAIN || err == syscall.EINTR
		return true
	})
	return waiting, open && err == nil
}
