// Package feed hands events from elsewhere in to a daemon over its batch API: files of lines, queues,
// topics. What it takes from a source has a final answer of the daemon before the source lets go of it.
package feed

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// ChunkBytes bounds one request, well below what a daemon takes by default.
const ChunkBytes = 8 << 20

// A daemon that cannot take lines now is asked again after firstWait. While it takes none, each wait
// is twice the one before, up to mostWait.
const firstWait, mostWait = 250 * time.Millisecond, 15 * time.Second

// Poster hands in lines until each has a final answer.
type Poster struct {
	Client   *client.Client
	Patience time.Duration // how long to go on without an answer to any line; below 0: for ever
	Grace    time.Duration // what a request under way has to end after the context has

	Now     func() time.Time
	Pause   func(context.Context, time.Duration) bool // waits; false when the context ended first
	Waiting func(err error, pause time.Duration)      // is told before each wait
}

// Forever is a Patience without an end.
const Forever = -1

// Answer is told what became of the line with that index: once, in any order.
type Answer func(i int, r client.BatchResult)

// line is one that has no final answer so far.
type line struct {
	at   int
	text []byte
}

// Post hands in lines, each without its end and with an idempotency key, so that one without an answer
// can be handed in again. An error means that the lines without an answer got none, and why.
func (p *Poster) Post(ctx context.Context, lines [][]byte, answer Answer) error {
	var chunk []line
	size := 0
	for i, text := range lines {
		if len(chunk) == client.MaxBatch || len(chunk) > 0 && size+len(text) > ChunkBytes {
			if err := p.post(ctx, chunk, answer); err != nil {
				return err
			}
			chunk, size = nil, 0
		}
		chunk = append(chunk, line{i, text})
		size += len(text) + 1
	}
	return p.post(ctx, chunk, answer)
}

func (p *Poster) post(ctx context.Context, left []line, answer Answer) error {
	last, wait := p.Now(), firstWait
	for len(left) > 0 {
		rest, err := p.once(ctx, left, answer)
		if errors.Is(err, errTooLarge) {
			half := len(left) / 2
			if err := p.post(ctx, left[:half], answer); err != nil {
				return err
			}
			return p.post(ctx, left[half:], answer)
		}
		if len(rest) < len(left) {
			last, wait = p.Now(), firstWait
		}
		if left = rest; len(left) == 0 {
			return nil
		}
		if ctx.Err() != nil || final(err) {
			return err
		}
		if tooLarge(err) {
			continue // the rest goes in a request of its own, at once
		}
		pause := wait/2 + rand.N(wait)
		if refused, ok := errors.AsType[*client.Error](err); ok {
			pause = max(pause, refused.RetryAfter)
		}
		if p.Patience >= 0 && p.Now().Sub(last)+pause > p.Patience {
			return err
		}
		p.Waiting(err, pause)
		if !p.Pause(ctx, pause) {
			return err
		}
		wait = min(2*wait, mostWait)
	}
	return nil
}

// final tells whether asking again cannot help.
func final(err error) bool {
	refused, ok := errors.AsType[*client.Error](err)
	return ok && !refused.Temporary() && !tooLarge(err) && refused.Status != http.StatusRequestTimeout && refused.Code != "incomplete_body"
}

func tooLarge(err error) bool {
	refused, ok := errors.AsType[*client.Error](err)
	return ok && refused.Status == http.StatusRequestEntityTooLarge
}

var errTooLarge = errors.New("the chunk is larger than the daemon takes")

// once makes one request and returns the lines that have no final answer, with the reason.
func (p *Poster) once(ctx context.Context, lines []line, answer Answer) (left []line, err error) {
	ctx, end := p.graceful(ctx)
	defer end()
	var body []byte
	for _, l := range lines {
		body = append(append(body, l.text...), '\n')
	}
	answered := make([]bool, len(lines))
	for r, resultErr := range p.Client.SendBatch(ctx, body) {
		if resultErr != nil {
			err = resultErr
			break
		}
		if r.Line < 1 || r.Line > len(lines) || answered[r.Line-1] {
			continue
		}
		if unread(r) {
			err = r.Err
			continue
		}
		answered[r.Line-1] = true
		answer(lines[r.Line-1].at, r)
	}
	for i, done := range answered {
		if !done {
			left = append(left, lines[i])
		}
	}
	if tooLarge(err) && len(left) == len(lines) {
		if len(lines) > 1 {
			return left, errTooLarge
		}
		refused, _ := errors.AsType[*client.Error](err)
		answer(lines[0].at, client.BatchResult{Line: 1, Err: refused})
		return nil, nil
	}
	if len(left) > 0 && err == nil {
		err = errors.New("the daemon broke off its answer")
	}
	return left, err
}

// graceful returns a context that ends Grace after ctx.
func (p *Poster) graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.Grace == 0 {
		return ctx, func() {}
	}
	later, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(p.Grace, func() { end(context.Cause(ctx)) })
		context.AfterFunc(later, func() { t.Stop() })
	})
	return later, func() { stop(); end(nil) }
}

// unread tells whether the line was not judged: the daemon was busy, or did not read so far. A line
// that is too large by itself is refused as the first one of a request too.
func unread(r client.BatchResult) bool {
	if r.Err == nil {
		return false
	}
	switch r.Err.Status {
	case http.StatusRequestEntityTooLarge:
		return r.Line > 1
	case http.StatusRequestTimeout:
		return true
	}
	return r.Err.Temporary() || r.Err.Code == "incomplete_body"
}
