package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

// checkEncoding refuses compressed bodies: what is accepted is what is delivered.
func checkEncoding(r *http.Request) error {
	for _, encoding := range r.Header["Content-Encoding"] {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return refuse(415, "unsupported_encoding", "the body must not be compressed")
		}
	}
	return nil
}

func (a *API) tooLarge() *ingest.Refusal {
	return refuse(413, "too_large", fmt.Sprintf("the body has more than the %d bytes that are allowed", a.MaxBody))
}

// readBody reads one event's body, all of it or an error, into memory that h holds.
// The buffer grows as the body comes, whatever length was told: a client that only
// tells one must not cost what it says.
func (a *API) readBody(c *call, h *hold) ([]byte, error) {
	told := c.r.ContentLength
	if told > a.MaxBody {
		return nil, a.tooLarge()
	}
	most, next := told, min(told, first)
	in := io.Reader(a.arriving(c))
	if told < 0 {
		most, next = a.MaxBody+1, 4<<10 // a byte more, to see its end
		in = http.MaxBytesReader(c.ResponseWriter, a.arriving(c), a.MaxBody)
	}
	var body []byte
	for int64(len(body)) != told {
		if len(body) == cap(body) {
			size := min(max(2*int64(cap(body)), next), most)
			if err := h.grow(c.r.Context(), size, most); err != nil {
				return nil, err
			}
			body = append(make([]byte, 0, size), body...)
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) && told < 0 {
			break
		}
		if err != nil && int64(len(body)) != told {
			return nil, unread(c, err)
		}
	}
	c.arrived()
	if cap(body) > len(body)+len(body)/4 {
		body = bytes.Clone(body) // it may be kept for long
	}
	return body, nil
}

// arriving reads the body of a request whose sender must go on sending: they may be
// waited for no longer than slack. That is patient's window at first, each byte
// earns its time at the least speed that is allowed, and a whole window is the most
// that can be saved up. What the daemon does between two reads is not their time.
type arriving struct {
	c     *call
	least float64       // bytes a second
	slack time.Duration // that is left
	until time.Time     // when it must be over, however fast it comes
}

const (
	// window is over which the speed of a body is measured.
	window = 10 * time.Second
	// maxBodyTime is how long a body may take, a batch with its answers, however steadily it comes.
	maxBodyTime = 15 * time.Minute
)

func (a *API) arriving(c *call) *arriving {
	c.body = arriving{c, a.BodyRate, window, time.Now().Add(maxBodyTime)}
	return &c.body
}

func (r *arriving) Read(b []byte) (int, error) {
	began := time.Now()
	r.c.mayTakeFor(min(r.slack, r.until.Sub(began)))
	n, err := r.c.r.Body.Read(b)
	if errors.Is(err, io.EOF) {
		r.c.arrived()
	}
	earned := time.Duration(float64(n) / r.least * float64(time.Second))
	r.slack = min(r.slack-time.Since(began)+earned, window)
	return n, err
}

func (r *arriving) Close() error { return r.c.r.Body.Close() }

// mayTakeFor gives the client d to send its body.
func (c *call) mayTakeFor(d time.Duration) {
	// Not every writer has deadlines (a test's recorder has none).
	_ = http.NewResponseController(c.ResponseWriter).SetReadDeadline(time.Now().Add(d))
}

// arrived ends the time for a body: when it ran out, net/http would take the client
// for gone and end what is done for them, such as the check of a host that is silent.
func (c *call) arrived() {
	_ = http.NewResponseController(c.ResponseWriter).SetReadDeadline(time.Time{})
}

// drain is how long the server, which reads what is left of a small body before
// it sends an answer that did not need it, may wait for that.
const drain = time.Second

// hangUp makes the server close the connection after this answer, slowly
// enough for the client to read it. It is for answers that began before the
// body was read: the server would take what is left of it for the next request.
func (c *call) hangUp() {
	c.mayTakeFor(drain)
	// This is how net/http itself learns of a body that is too large, and the
	// only way to tell it once the headers are sent.
	_, _ = http.MaxBytesReader(c.ResponseWriter, io.NopCloser(strings.NewReader("x")), 0).Read(make([]byte, 1))
}

// unread says why a body could not be read; nothing of it is kept. Nobody is
// to blame for a cut connection, and the log has no line for it.
func unread(c *call, err error) *ingest.Refusal {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refuse(413, "too_large", fmt.Sprintf("the body has more than the %d bytes that are allowed", large.Limit))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.Header().Set("Connection", "close")
		return refuse(408, "slow_body", "the body came too slowly: the setting limits.body_rate says how fast it must come")
	}
	c.Header().Set("Connection", "close")
	return refuse(400, "incomplete_body", "the body ended too early or was badly framed")
}
