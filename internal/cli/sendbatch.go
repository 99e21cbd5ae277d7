package cli

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// chunkBytes bounds one request, well below what a daemon takes by default.
const chunkBytes = 8 << 20

// A daemon that cannot take lines now is asked again after firstWait. While it takes none, each wait
// is twice the one before, up to mostWait.
const firstWait, mostWait = 250 * time.Millisecond, 15 * time.Second

// entry is one line to hand in.
type entry struct {
	source string
	line   int
	text   []byte
}

// batch collects lines and hands them in chunk by chunk. Every line has an
// idempotency key, so a line without an answer is handed in again.
type batch struct {
	sender  *sender
	entries []entry
	bytes   int
}

func (b *batch) add(ctx context.Context, e entry) error {
	if len(b.entries) == client.MaxBatch || b.bytes+len(e.text) > chunkBytes {
		if err := cmp.Or(b.flush(ctx), b.sender.nobody()); err != nil {
			return err
		}
	}
	b.entries = append(b.entries, e)
	b.bytes += len(e.text) + 1
	return nil
}

// flush hands in what was collected. After an error nothing is left to be flushed.
func (b *batch) flush(ctx context.Context) error {
	entries := b.entries
	b.entries, b.bytes = nil, 0
	last, wait := b.sender.env.now(), firstWait
	for len(entries) > 0 {
		left, err := b.sender.chunk(ctx, entries)
		if errors.Is(err, errTooLarge) {
			return errors.Join(b.sender.halves(ctx, entries)...)
		}
		if len(left) < len(entries) {
			last, wait = b.sender.env.now(), firstWait
		}
		if entries = left; len(entries) == 0 {
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
		if b.sender.env.now().Sub(last)+pause > b.sender.flags.patience {
			return err
		}
		b.sender.waiting(err, pause)
		if !b.sender.env.pause(ctx, pause) {
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

// chunk makes one request and returns the entries that have no final answer, with the reason.
func (s *sender) chunk(ctx context.Context, entries []entry) (left []entry, err error) {
	var body []byte
	for _, e := range entries {
		body = append(append(body, e.text...), '\n')
	}
	answered := make([]bool, len(entries))
	for r, resultErr := range s.client.SendBatch(ctx, body) {
		if resultErr != nil {
			err = resultErr
			break
		}
		if r.Line < 1 || r.Line > len(entries) || answered[r.Line-1] {
			continue
		}
		if unread(r) {
			err = r.Err
			continue
		}
		answered[r.Line-1] = true
		s.answer(entries[r.Line-1], r)
	}
	for i, done := range answered {
		if !done {
			left = append(left, entries[i])
		}
	}
	if tooLarge(err) && len(left) == len(entries) {
		if len(entries) > 1 {
			return left, errTooLarge
		}
		return nil, s.sent(outcome{Source: entries[0].source, Line: entries[0].line}, client.Accepted{}, err)
	}
	if len(left) > 0 && err == nil {
		err = errors.New("the daemon broke off its answer")
	}
	return left, err
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

func (s *sender) answer(e entry, r client.BatchResult) {
	o := outcome{Source: e.source, Line: e.line}
	if r.Err != nil {
		o.Error = &problem{r.Err.Code, r.Err.Message}
	} else {
		o.Accepted = &r.Accepted
	}
	s.result(o)
}

// halves hands in entries as two smaller chunks.
func (s *sender) halves(ctx context.Context, entries []entry) (errs []error) {
	for _, half := range [][]entry{entries[:len(entries)/2], entries[len(entries)/2:]} {
		b := &batch{sender: s, entries: half}
		if err := b.flush(ctx); err != nil {
			return append(errs, err)
		}
	}
	return errs
}
