package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// line is a line of a batch: an event of acme.
func line(body string) string { return lineOf("acme", body) }

func lineOf(developer, body string) string {
	return fmt.Sprintf(`{"dev_id":%q,"event":%s}`+"\n", developer, body)
}

// dial connects to the rig without a client's help.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// send writes to a connection; the server may have closed it already.
func send(conn io.Writer, text string) { _, _ = io.WriteString(conn, text) }

// raw sends text as it is and reads one answer.
func (r *rig) raw(text string) answer {
	r.t.Helper()
	conn := r.dial()
	go send(conn, text)
	return r.read(bufio.NewReader(conn), text)
}

// read reads the answer to the request text.
func (r *rig) read(in *bufio.Reader, text string) answer {
	r.t.Helper()
	first, _, _ := strings.Cut(text, "\r\n")
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(first + "\r\nHost: x\r\n\r\n")))
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := http.ReadResponse(in, req)
	if err != nil {
		r.t.Fatalf("%.60q: %v", first, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("%.60q: %v", first, err)
	}
	desc, err := loadDescription()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := desc.answer(req.Method, req.URL.EscapedPath(), res.StatusCode, res.Header, body); err != nil {
		r.t.Errorf("%.60q answered %d, which openapi.yaml describes otherwise: %v", first, res.StatusCode, err)
	}
	return answer{res.StatusCode, res.Header, body}
}

// fixed is an Ingest with one answer to everything.
type fixed struct {
	result ingest.Result
	accept func(rs []ingest.Request) // sees them; nil: nobody
}

func (f fixed) Ready() error      { return nil }
func (f fixed) Knows(string) bool { return true }
func (f fixed) Accept(_ context.Context, rs []ingest.Request) []ingest.Result {
	if f.accept != nil {
		f.accept(rs)
	}
	results := make([]ingest.Result, len(rs))
	for i := range results {
		results[i] = f.result
	}
	return results
}

// sound is a result as the description wants it.
var sound = ingest.Result{ID: event.NewID(time.Now(), 1, 1), Reference: "ref"}

// results splits the answer of a batch.
func results(body []byte) (lines []string) {
	for line := range bytes.Lines(body) {
		lines = append(lines, strings.TrimSpace(string(line)))
	}
	return lines
}
