package destination

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Panic is the error of work that panicked. Its text is safe to show: what a
// panic says may hold anything, secrets too, so that only its type is kept.
type Panic struct {
	Type  string // of the value that it panicked with, such as runtime.boundsError
	Stack []byte // of the goroutine that panicked: for the log, not for developers
}

func (p *Panic) Error() string { return "the destination panicked (" + p.Type + ")" }

// Guard calls f and returns its error or, if it panicked, a Transient [Fault] with
// a [Panic]. A kind calls it around whatever does not run in the goroutine of its
// caller, where the engine recovers: what it or a library does in another, where a
// panic ends the process, and what has something to give back.
func Guard(f func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil { // nil: f ended its goroutine, as a failing test does
			err = &Fault{Err: &Panic{fmt.Sprintf("%T", v), debug.Stack()}}
		}
	}()
	err = f()
	returned = true
	return err
}

// PanicOf returns the panic that err tells of, nil if it tells of none.
func PanicOf(err error) *Panic {
	p, _ := errors.AsType[*Panic](err)
	return p
}
