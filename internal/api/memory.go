package api

import (
	"context"
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

const (
	// small is the size up to which a body takes from a budget of its own, so
	// that nobody's slow upload of something large delays ordinary events.
	small = 256 << 10
	// maxWait is how long a request waits for room.
	maxWait = 10 * time.Second
)

// memory bounds the bytes of bodies that are held at a time.
type memory struct {
	small, large *budget
}

// newMemory splits total bytes. A body that has to be grown while it is read
// needs twice its size, which is therefore the least that the large may have.
func newMemory(maxBody, total int64) memory {
	return memory{
		small: newBudget(max(total/8, 4*small)),
		large: newBudget(max(total-total/8, 2*maxBody)),
	}
}

// hold is a part of memory in use; the zero hold is none.
type hold struct {
	from *budget
	n    int64
}

func (h hold) release() {
	if h.from != nil {
		h.from.give(h.n)
	}
}

// take waits for room for a body of n bytes.
func (m *memory) take(ctx context.Context, n int64) (hold, error) {
	if n <= small {
		return takeFrom(ctx, m.small, n)
	}
	return takeFrom(ctx, m.large, n)
}

func takeFrom(ctx context.Context, b *budget, n int64) (hold, error) {
	switch err := b.take(ctx, n, maxWait); {
	case errors.Is(err, errBusy):
		return hold{}, &ingest.Refusal{Status: 503, Code: "busy", Message: "too many large bodies at a time", RetryAfter: time.Second}
	case err != nil:
		return hold{}, err
	}
	return hold{b, n}, nil
}
