package webhook

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// BenchmarkSend delivers 2 KiB over one kept connection; beside it a bare
// client posts the same body, which is the least that any sender costs. Both
// figures include the receiver, which runs in the same process.
func BenchmarkSend(b *testing.B) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	}))
	b.Cleanup(far.Close)
	bare := &http.Transport{DisableCompression: true}
	b.Cleanup(bare.CloseIdleConnections)
	body := fmt.Appendf(nil, `{"type":"sleep","user":{"user_id":"u1"},"s":"%s"}`, strings.Repeat("x", 2000))
	d := destinationtest.Delivery(b, 1, body)
	c := settings()
	c.URL, c.AllowHTTP = far.URL+"/hook", true
	w := openWith(b, c, plainDeps(b))

	b.Run("webhook", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Send(b.Context(), d); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, c.URL, bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := bare.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}

// BenchmarkHead makes the head of an attempt, signature included.
func BenchmarkHead(b *testing.B) {
	w := openWith(b, settings(), plainDeps(b))
	d := destinationtest.Delivery(b, 1, fmt.Appendf(nil, `{"type":"sleep","s":"%s"}`, strings.Repeat("x", 2000)))
	b.ReportAllocs()
	var head []byte
	for b.Loop() {
		head = w.head.append(head[:0], w.varying(d, time.Now()))
	}
}
