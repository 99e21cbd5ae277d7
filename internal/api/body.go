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

// readBody reads one event's body, all of it or an error. The memory it is
// charged to is the caller's to release, also after an error.
func (a *API) readBody(c *call) ([]byte, hold, error) {
	n := c.r.ContentLength
	if n > a.MaxBody {
		return nil, hold{}, a.tooLarge()
	}
	if n < 0 {
		return a.readUnknown(c)
	}
	h, err := a.memory.take(c.r.Context(), n)
	if err != nil {
		return nil, hold{}, err
	}
	body := make([]byte, n)
	c.mayTake(n)
	if _, err := io.ReadFull(c.r.Body, body); err != nil {
		return nil, h, unread(c, err)
	}
	return body, h, nil
}

// readUnknown reads a body whose length nobody told.
func (a *API) readUnknown(c *call) ([]byte, hold, error) {
	h, err := a.memory.take(c.r.Context(), small)
	if err != nil {
		return nil, hold{}, err
	}
	in := http.MaxBytesReader(c.ResponseWriter, c.r.Body, a.MaxBody)
	c.mayTake(a.MaxBody)
	body := make([]byte, 0, 4<<10)
	for {
		if len(body) == cap(body) {
			if body, err = a.grow(c, body, &h); err != nil {
				return nil, h, err
			}
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, h, unread(c, err)
		}
	}
	if cap(body) > len(body)+len(body)/4 {
		body = bytes.Clone(body) // it may be kept for long
	}
	return body, h, nil
}

// grow doubles body. Past what is small it is charged with twice the largest
// size, once: charged piece by piece, bodies would wait for each other.
func (a *API) grow(c *call, body []byte, h *hold) ([]byte, error) {
	size := min(2*int64(cap(body)), a.MaxBody+1)
	if size > small && h.from == a.memory.small {
		large, err := takeFrom(c.r.Context(), a.memory.large, 2*a.MaxBody)
		if err != nil {
			return nil, err
		}
		h.release()
		*h = large
	}
	return append(make([]byte, 0, max(size, int64(len(body)+1))), body...), nil
}

// mayTake gives the client as long as n bytes may take. The server ends it
// itself when the body has been read.
func (c *call) mayTake(n int64) { c.mayTakeFor(patience(n)) }

// mayTakeFor gives the client d to send its body.
func (c *call) mayTakeFor(d time.Duration) {
	// Not every writer has deadlines (a test's recorder has none).
	_ = http.NewResponseController(c.ResponseWriter).SetReadDeadline(time.Now().Add(d))
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
		return refuse(408, "slow_body", "the body came too slowly")
	}
	c.Header().Set("Connection", "close")
	return refuse(400, "incomplete_body", "the body ended too early or was badly framed")
}
