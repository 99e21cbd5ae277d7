package cli

import (
	"cmp"
	"context"

	"github.com/seed-51f8da91/fantail/internal/feed"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// entry is one line to hand in.
type entry struct {
	source string
	line   int
	text   []byte
}

// batch collects lines and hands them in chunk by chunk.
type batch struct {
	sender  *sender
	entries []entry
	bytes   int
}

func (b *batch) add(ctx context.Context, e entry) error {
	if len(b.entries) == client.MaxBatch || b.bytes+len(e.text) > feed.ChunkBytes {
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
	lines := make([][]byte, len(entries))
	for i, e := range entries {
		lines[i] = e.text
	}
	s := b.sender
	p := feed.Poster{Client: s.client, Patience: max(0, s.flags.patience), Now: s.env.now, Pause: s.env.pause, Waiting: s.waiting}
	return p.Post(ctx, lines, func(i int, r client.BatchResult) { s.answer(entries[i], r) })
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
