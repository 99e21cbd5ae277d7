package cli

import (
	"io"
	"log"
	"log/slog"
	"sync"
	"time"
)

// quietTime is the least time between two of our lines about text written to package log.
const quietTime = time.Minute

// takeProcessLog sends what libraries write to package log to to, until restore is called. It drops
// their text, which may quote what a far side sent, which may repeat our credentials.
func takeProcessLog(to *slog.Logger) (restore func()) {
	before := log.Writer()
	log.SetOutput(&droppedText{to: to})
	return func() { log.SetOutput(before) }
}

// droppedText counts what is written to it.
type droppedText struct {
	to *slog.Logger

	mu    sync.Mutex
	told  time.Time
	lines int // since told
	bytes int
}

var _ io.Writer = (*droppedText)(nil)

func (d *droppedText) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines++
	d.bytes += len(b)
	if now := time.Now(); now.Sub(d.told) >= quietTime {
		d.to.Warn("a library wrote to the process's log; the text is dropped, since it may hold secrets", "lines", d.lines, "bytes", d.bytes)
		d.told, d.lines, d.bytes = now, 0, 0
	}
	return len(b), nil
}
