package exchange

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// queued returns how many bytes were written to a socket that its far side's
// machine has not acknowledged, and whether it may still do so.
func queued(s syscall.RawConn) (n int64, open bool) {
	if s == nil {
		return 0, true
	}
	err := s.Control(func(fd uintptr) {
		q, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		if err != nil || q == 0 {
			return
		}
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		n, open = int64(q), err == nil && info.State != unix.BPF_TCP_CLOSE
	})
	return n, open && err == nil
}
