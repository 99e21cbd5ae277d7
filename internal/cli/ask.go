package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// errNothing ends a question that need not be asked, because there is nothing to do.
	errNothing = errors.New("there is nothing to do")
	errNo      = errors.New("nothing was changed")
)

// mostCounted bounds what is counted for a question.
const mostCounted = 10_000

// ask is nil when what question asks about may be done: with --yes, or after somebody answered y
// or yes. Where nobody can be asked it is wrong usage, and question is not called: a script that
// forgot --yes changes nothing.
func (e *env) ask(ctx context.Context, yes bool, question func() (string, error)) error {
	if yes {
		return nil
	}
	if !e.inTerminal || !e.errTerminal {
		return usagef("nobody can be asked whether this is meant, as there is no terminal: say --yes, and nothing was changed")
	}
	text, err := question()
	if err != nil {
		return err
	}
	fmt.Fprintf(e.err, "%s [y/N] ", clean(text))
	answered := make(chan string, 1)
	go func() { // ends with the process: a terminal's read cannot be broken off
		answer, _ := bufio.NewReader(e.in).ReadString('\n')
		answered <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(e.err)
		return context.Cause(ctx)
	case answer := <-answered:
		if answer == "y" || answer == "yes" {
			return nil
		}
	}
	return errNo
}

// counted is count for a question: above mostCounted it says that there are more.
func counted(n int, noun string) string {
	if n > mostCounted {
		return fmt.Sprintf("more than %s", count(mostCounted, noun))
	}
	return count(n, noun)
}

// age is an age for a question: 12 m, 3 h, 5 d.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d m", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
