package api

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/internal/trail"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// BenchmarkPostEvent measures one event over a real loopback connection, beside
// a handler that does nothing but read the body: the difference is ours.
func BenchmarkPostEvent(b *testing.B) {
	body := []byte(`{"type":"sleep","user":{"user_id":"u1"},"version":"2022-03-16","data":[{"d":"`)
	body = append(append(body, bytes.Repeat([]byte("x"), 2000)...), `"}]}`...)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, b); err != nil {
			panic(err)
		}
		w.WriteHeader(202)
		_, _ = w.Write([]byte(`{"id":"01980000-0000-7000-8000-000000000000","reference":"01980000-0000-7000-8000-000000000000","deliveries":2}` + "\n"))
	})
	b.Run("bare handler", func(b *testing.B) { benchmarkPost(b, bare, body) })
	b.Run("api", func(b *testing.B) {
		benchmarkPost(b, benchmarkAPI(b, fixed{result: ingest.Result{Reference: "01980000-0000-7000-8000-000000000000"}}, nil), body)
	})
	b.Run("api with token", func(b *testing.B) {
		benchmarkPost(b, benchmarkAPI(b, fixed{}, []Token{token("producer", "ingest")}), body, bearer("producer"))
	})
	b.Run("store on disk", func(b *testing.B) {
		s, err := pebblestore.Open(filepath.Join(b.TempDir(), "store"), pebblestore.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		in := ingest.New(s, func(*event.Event, []store.Item) {}, ingest.Limits{})
		every := func(string) bool { return true }
		in.SetRoutes(&ingest.Routes{Developers: map[string]*ingest.Developer{"acme": {ID: "acme", Destinations: []ingest.Route{{ID: 1, Matches: every}, {ID: 2, Matches: every}}}}})
		benchmarkPost(b, benchmarkAPI(b, in, nil), body)
	})
}

func benchmarkAPI(b *testing.B, in Ingest, tokens []Token) http.Handler {
	b.Helper()
	a, err := New(Options{
		Ingest: in, Scheduler: &scheduler{}, Store: &noLog{}, Eraser: &noLog{}, Daemon: &daemon{names: NewNames(nil)}, Replays: noReplays{}, Checks: &checks{}, Documents: &documents{}, Sessions: noSessions(), Settings: &stocks{}, Queues: noLog{}, Trail: trail.New(noLog{}, slog.New(slog.DiscardHandler)),
		Metrics: http.NotFoundHandler(), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Listen: "127.0.0.1:0", Brand: "terra", Tokens: tokens, MaxBody: 32 << 20,
	})
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// benchmarkPost sends the same bytes over one connection, without a client's cost.
func benchmarkPost(b *testing.B, h http.Handler, body []byte, headers ...string) {
	server := httptest.NewServer(h)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := fmt.Appendf(nil, "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: %d\r\n", len(body))
	for _, header := range headers {
		request = append(append(request, header...), "\r\n"...)
	}
	request = append(append(request, "\r\n"...), body...)
	in := bufio.NewReader(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		length := -1
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				length = 0
				for _, c := range bytes.TrimSpace(n) {
					length = 10*length + int(c-'0')
				}
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := in.Discard(length); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPostBatch(b *testing.B) {
	body := bytes.Repeat([]byte(line(sleep)), 1000)
	server := httptest.NewServer(benchmarkAPI(b, fixed{}, nil))
	defer server.Close()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		res, err := server.Client().Post(server.URL+"/v1/events/batch", "application/x-ndjson", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			b.Fatal(err)
		}
		res.Body.Close()
	}
}
