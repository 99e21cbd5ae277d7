package gcp

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// BenchmarkPut writes objects of 2 KiB over one kept connection to a server that
// only answers; beside it Google's higher-level client does the same, in one
// request each and without retries.
func BenchmarkPut(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 2048)
	said, err := json.Marshal(description{Bucket: "acme", Name: "x", Generation: 1, Size: 2048, CRC32C: checksum(body)})
	if err != nil {
		b.Fatal(err)
	}
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(said)
	}))
	b.Cleanup(far.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(transport.CloseIdleConnections)
	b.Run("gcp", func(b *testing.B) {
		c := client(b, Access{Endpoint: far.URL, AllowHTTP: true, Anonymous: true}, destination.Deps{HTTP: &http.Client{Transport: transport}})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Put(b.Context(), Object{Bucket: "acme", Name: "x", Body: body}, Absent); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cloud.google.com/go/storage", func(b *testing.B) {
		c, err := storage.NewClient(b.Context(), option.WithoutAuthentication(), option.WithEndpoint(far.URL+"/storage/v1/"), option.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			w := c.Bucket("acme").Object("x").Retryer(storage.WithPolicy(storage.RetryNever)).If(storage.Conditions{DoesNotExist: true}).NewWriter(b.Context())
			w.ChunkSize, w.DisableAutoChecksum, w.ContentType = 0, true, "application/json"
			if _, err := w.Write(body); err != nil {
				b.Fatal(err)
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
