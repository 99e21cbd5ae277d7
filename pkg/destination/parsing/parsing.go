// Package parsing bounds what it costs to understand what far sides answer. A
// parser may make dozens of bytes of each that it reads, so that to bound what is
// read of one answer is not enough where many destinations may answer at once.
package parsing

import (
	"context"
	"encoding/json"
	"io"
	"sync"

	"golang.org/x/sync/semaphore"
)

const (
	// MaxAnswer is how many bytes are read of an answer that is to be parsed. The
	// largest sound ones, temporary credentials and objects with their metadata,
	// have about 10 KiB.
	MaxAnswer = 64 << 10
	// work is how many bytes all destinations together have parsed at a time. An
	// XML parser makes twelve of each, so that this is some 13 MB.
	work = 1 << 20
)

var budget = newBudget()

func newBudget() *semaphore.Weighted { return semaphore.NewWeighted(work) }

// Read reads an answer, no more than [MaxAnswer].
func Read(body io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(body, MaxAnswer)) }

// Begin waits until n more bytes may be parsed. The caller calls end when the
// parser is done with them and what it made; once more does nothing.
func Begin(ctx context.Context, n int) (end func(), err error) {
	size := min(int64(n), work)
	if err := budget.Acquire(ctx, size); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { budget.Release(size) }), nil
}

// JSON is json.Unmarshal within the budget. Others hold it while they compute, so
// that the wait for it is short.
func JSON(text []byte, into any) error {
	end, err := Begin(context.Background(), len(text))
	if err != nil {
		return err
	}
	defer end()
	return json.Unmarshal(text, into)
}
