package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/internal/api/ndjson"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	maxLines   = 1000
	chunkLines = 64      // committed together
	chunkBytes = 1 << 20 // likewise: whichever comes first
)

// batch is one NDJSON request on its way: lines wait in a chunk until it is
// full or the next line would have to be waited for, then they are committed
// together and answered in order.
type batch struct {
	a    *API
	c    *call
	in   ndjson.Reader
	held hold

	requests []ingest.Request // of the chunk
	waiting  []lineResult     // one per line of the chunk
	bytes    int
	out      []byte

	trace            *event.Trace // all events go on with: a line has none of its own
	accepted, turned int
	taken            int // lines that are not empty
}

// lineResult is a line of the chunk: refused, or the next of the requests.
type lineResult struct {
	line int
	err  error
}

// postBatch accepts events line by line. It answers while it reads; what was
// answered stands whatever happens to the rest.
func (a *API) postBatch(c *call) error {
	span, trace := a.Trace.Accept(tracing.Read(c.r.Header))
	b := &batch{a: a, c: c, trace: trace}
	err := b.take()
	span.Batch(b.accepted, b.turned)
	if err != nil {
		r := refusal(err)
		span.End(r.Status, r.Code)
		return err
	}
	span.End(200, "")
	return nil
}

// take reads and answers the whole batch.
func (b *batch) take() error {
	a, c := b.a, b.c
	if err := errors.Join(checkEncoding(c.r), a.header.none(c.r)); err != nil {
		return err
	}
	if err := a.Ingest.Ready(); err != nil {
		return err
	}
	if err := a.Pace.Wait(c.r.Context(), 0); err != nil {
		return err
	}
	b.held = a.memory.hold(c.who, "")
	defer b.held.release()
	if err := b.grow(ndjson.LeastBuffer); err != nil {
		return err
	}
	b.in = ndjson.Reader{In: a.arriving(c), Limit: a.MaxBody, Grow: b.grow}
	// HTTP/2 needs no asking, and a test's recorder cannot.
	_ = http.NewResponseController(c.ResponseWriter).EnableFullDuplex()
	err := b.run()
	if err != nil && !errors.Is(err, errNoLines) { // where the body was read to its end
		c.hangUp()
	}
	return err
}

// grow charges a batch with a buffer of size bytes and with the events in it, which
// are copied. A chunk never has more: it is committed before anything is read.
func (b *batch) grow(size int) error {
	return b.held.grow(b.c.r.Context(), 2*int64(size), b.a.memory.batch)
}

func (b *batch) run() error {
	for {
		if !b.in.Ready() || len(b.waiting) >= chunkLines || b.bytes >= chunkBytes {
			if err := b.commit(); err != nil {
				return err
			}
		}
		line, err := b.in.Next()
		if errors.Is(err, io.EOF) {
			return b.end()
		}
		if err != nil {
			return b.stop(err)
		}
		if ndjson.Blank(line) {
			continue
		}
		if b.taken++; b.taken > maxLines {
			return b.stop(refuse(413, "too_large", fmt.Sprintf("a batch may have %d lines; none is read from here on", maxLines)))
		}
		b.add(line)
	}
}

// add puts a line into the chunk.
func (b *batch) add(line []byte) {
	req, err := ndjson.Parse(line)
	if err == nil && req.Developer != "" && !b.c.who.sees(req.Developer) {
		err = notYours(b.c.who)
	}
	if err == nil {
		req.Trace = b.trace
		b.requests = append(b.requests, req)
		b.bytes += len(req.Body)
	}
	b.waiting = append(b.waiting, lineResult{b.in.Number, err})
}

// commit makes the chunk durable and answers its lines.
func (b *batch) commit() error {
	if len(b.waiting) == 0 {
		return nil
	}
	var results []ingest.Result
	if len(b.requests) > 0 {
		results = b.accept()
	}
	for _, w := range b.waiting {
		if w.err != nil {
			b.refused(w.line, w.err)
			continue
		}
		r := &results[0]
		results = results[1:]
		if r.Err != nil {
			b.refused(w.line, r.Err)
			continue
		}
		b.a.counts.taken(r.Duplicate)
		b.accepted++
		status := int64(202)
		if r.Duplicate {
			status = 200
		}
		b.out = strconv.AppendInt(append(b.out, `{"line":`...), int64(w.line), 10)
		b.out = strconv.AppendInt(append(b.out, `,"status":`...), status, 10)
		b.out = append(appendResult(append(b.out, ','), r), "}\n"...)
	}
	clear(b.requests) // lets go of the bodies
	b.requests, b.waiting, b.bytes = b.requests[:0], b.waiting[:0], 0
	return b.flush()
}

// accept hands the chunk in at the daemon's pace. Results are those of its requests.
func (b *batch) accept() []ingest.Result {
	ctx := b.c.r.Context()
	err := b.a.Pace.Wait(ctx, len(b.requests))
	if err == nil {
		results := b.a.Ingest.Accept(ctx, b.requests)
		deliveries := 0
		for i := range results {
			deliveries += results[i].Deliveries
		}
		b.a.Pace.Took(len(results), deliveries)
		return results
	}
	results := make([]ingest.Result, len(b.requests))
	for i := range results {
		results[i].Err = err
	}
	return results
}

// refused answers a line that is not accepted.
func (b *batch) refused(line int, err error) {
	b.a.counts.turnedAway(err)
	b.turned++
	r, message := b.a.explain(b.c, err)
	text, _ := json.Marshal(struct {
		Line   int         `json:"line"`
		Status int         `json:"status"`
		Error  problemText `json:"error"`
	}{line, r.Status, problemText{r.Code, message}}) // numbers and texts always marshal
	b.out = append(append(b.out, text...), '\n')
}

// flush sends the answers so far.
func (b *batch) flush() error {
	b.begin()
	rc := http.NewResponseController(b.c.ResponseWriter)
	_ = rc.SetWriteDeadline(time.Now().Add(payload.Grace))
	_, err := b.c.Write(b.out)
	b.out = b.out[:0]
	if err == nil {
		err = rc.Flush()
	}
	if err != nil {
		return errGone
	}
	return nil
}

// errGone: the client does not read any more. There is nobody to tell.
var errGone = refuse(400, "gone", "the client is gone")

func (b *batch) begin() {
	if !b.c.wrote {
		b.c.Header()["Content-Type"] = []string{"application/x-ndjson"}
		b.c.WriteHeader(200)
	}
}

// errNoLines: an answer without results would tell a producer whose file could not
// be read that all is well.
var errNoLines = refuse(400, "empty_batch", "the batch has no lines: each holds one event")

// end ends an answer that is complete.
func (b *batch) end() error {
	if b.taken == 0 {
		return errNoLines
	}
	err := b.commit()
	b.begin()
	return err
}

// stop ends a batch before its last line: the line that could not be read says
// why, and none follows.
func (b *batch) stop(err error) error {
	if commit := b.commit(); commit != nil {
		return commit
	}
	if errors.Is(err, ndjson.ErrTooMuch) {
		err = b.a.tooLarge()
	} else if _, known := errors.AsType[*ingest.Refusal](err); !known {
		err = unread(b.c, err)
		if !b.c.wrote {
			return err
		}
	}
	b.c.hangUp()
	b.refused(b.in.Number, err)
	return b.flush()
}
