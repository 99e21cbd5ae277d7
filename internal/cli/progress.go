package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// redraw is the least time between two states of a progress line.
const redraw = 200 * time.Millisecond

// progress is one line on the terminal that says how far a long job is. It is
// rewritten in place at most five times a second. Without a terminal nothing
// is written.
type progress struct {
	w   io.Writer // nil without a terminal
	now func() time.Time

	mu    sync.Mutex
	drawn time.Time
	width int // columns of the line that stands there
}

func (e *env) progress() *progress {
	p := &progress{now: e.now}
	if e.errTerminal {
		p.w = e.err
	}
	return p
}

// show replaces the line unless it was replaced a moment ago.
func (p *progress) show(format string, args ...any) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now().Sub(p.drawn) < redraw {
		return
	}
	p.drawn = p.now()
	text := clip(clean(fmt.Sprintf(format, args...)), 78) // a line that wraps cannot be rewritten
	n := width(text)
	fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(0, p.width-n)))
	p.width = n
}

// clear removes the line, so that something else can be printed.
func (p *progress) clear() {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// during shows what is going on, and for how long, while work runs.
func (p *progress) during(what string, work func() error) error {
	if p.w == nil {
		return work()
	}
	done := make(chan struct{})
	var drawer sync.WaitGroup
	drawer.Go(func() {
		began, tick := p.now(), time.NewTicker(redraw)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				p.show("%s... %s", what, span(p.now().Sub(began)))
			}
		}
	})
	err := work()
	close(done)
	drawer.Wait()
	p.clear()
	return err
}
