package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// MaxBatch is how many lines the daemon takes in one batch.
const MaxBatch = 1000

// AppendLine appends r to b as one line of a batch. A body that spans several
// lines, or has white space around it, goes as base64 in the member "body", so
// that it arrives byte for byte. Ordering goes to the microsecond.
func AppendLine(b []byte, r SendRequest) ([]byte, error) {
	if len(r.Body) == 0 {
		return b, errors.New("the event has no body")
	}
	start := len(b)
	b = append(b, '{')
	for _, f := range [...]struct{ name, value string }{
		{"dev_id", r.Developer}, {"reference", r.Reference}, {"idempotency_key", r.IdempotencyKey},
	} {
		if f.value != "" {
			if !utf8.ValidString(f.value) { // JSON would make one of two keys that differ
				return b[:start], fmt.Errorf("the %s is not UTF-8, as a line of JSON has to be", f.name)
			}
			text, _ := json.Marshal(f.value) // a string always marshals
			b = append(append(append(append(b, '"'), f.name...), '"', ':'), text...)
			b = append(b, ',')
		}
	}
	if !r.Ordering.IsZero() {
		b = strconv.AppendInt(append(b, `"ordering_timestamp":`...), r.Ordering.UnixMilli(), 10)
		if micros := r.Ordering.UnixMicro() % 1000; micros > 0 {
			b = fmt.Appendf(b, ".%03d", micros)
		}
		b = append(b, ',')
	}
	if r.Body[0] == '{' && r.Body[len(r.Body)-1] == '}' && !bytes.ContainsAny(r.Body, "\r\n") {
		b = append(append(b, `"event":`...), r.Body...)
	} else {
		b = append(base64.StdEncoding.AppendEncode(append(b, `"body":"`...), r.Body), '"')
	}
	return append(b, '}', '\n'), nil
}

// BatchResult is what became of one line.
type BatchResult struct {
	Line int // from 1
	Accepted
	Err *Error // nil when the event was accepted
}

// SendBatch hands in at most MaxBatch lines, each written by AppendLine or of
// the same form, and yields one result for each line, in order, while the
// daemon works. Every line stands alone. An error ends the sequence: lines that
// had no result yet may or may not have been accepted, unless the error is an
// *Error, which comes before any line was taken.
//
// A batch is tried once. To be sure of every line give each an idempotency key
// and hand in again those without a result.
func (c *Client) SendBatch(ctx context.Context, lines []byte) iter.Seq2[BatchResult, error] {
	return func(yield func(BatchResult, error) bool) {
		stopped := errors.New("stopped")
		err := c.once(ctx, call{
			method: http.MethodPost, path: "/v1/events/batch", body: lines,
			header: http.Header{"Content-Type": {"application/x-ndjson"}},
		}, func(res *http.Response) error {
			in := bufio.NewReaderSize(res.Body, mostResult)
			for {
				r, err := readResult(in)
				switch {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return fmt.Errorf("read the results: %w", err)
				case !yield(r, nil):
					return stopped
				}
			}
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(BatchResult{}, err)
		}
	}
}

// mostResult bounds one line of the answer, which tells what became of an event, and not its body.
const mostResult = 64 << 10

// readResult reads one line; io.EOF after the last whole one.
func readResult(in *bufio.Reader) (BatchResult, error) {
	line, err := in.ReadSlice('\n')
	if err == io.EOF && len(line) > 0 {
		return BatchResult{}, io.ErrUnexpectedEOF
	}
	if err != nil {
		return BatchResult{}, err
	}
	var w struct {
		Line   int `json:"line"`
		Status int `json:"status"`
		Accepted
		Error *struct{ Code, Message string } `json:"error"`
	}
	if err := json.Unmarshal(line, &w); err != nil {
		return BatchResult{}, fmt.Errorf("unreadable result: %w", err)
	}
	r := BatchResult{Line: w.Line, Accepted: w.Accepted}
	if w.Status/100 == 2 && w.ID == "" { // believed, it would be an event that is nowhere
		return BatchResult{}, errors.New("unreadable result: an accepted event without an id")
	}
	if w.Status/100 != 2 {
		r.Err = &Error{Status: w.Status}
		if w.Error != nil {
			r.Err.Code, r.Err.Message = w.Error.Code, w.Error.Message
		}
	}
	return r, nil
}
