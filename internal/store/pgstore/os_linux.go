package pgstore

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootClock counts the time in which the machine slept.
const bootClock = unix.CLOCK_BOOTTIME

// giveUp has a connection end when what was sent is not acknowledged for so long.
func giveUp(fd int, after time.Duration) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(after/time.Millisecond))
}
