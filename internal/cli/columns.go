package cli

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// wide is how many columns a line may have where a terminal does not say how wide it is.
const wide = 100

// columns is the width of the terminal that is written to.
func (e *env) columns() int {
	if n, err := strconv.Atoi(e.lookup("COLUMNS")); err == nil && n >= 20 {
		return n
	}
	if f, ok := e.out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col >= 20 {
			return int(size.Col)
		}
	}
	return wide
}
