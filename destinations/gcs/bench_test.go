package gcs

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
)

// inFlight is how many deliveries are under way at once.
const inFlight = 16

// BenchmarkSend delivers new events of 2 KiB; beside it Google's own client
// writes the same objects in a loop, once as it comes and once as far tamed as
// it can be: one request each and no retries. All figures include
// fake-gcs-server, which runs in the same process and is most of them.
func BenchmarkSend(b *testing.B) {
	body := func(n int64) string {
		return activity("u", fmt.Sprint(n), accepted.Add(time.Duration(n)*time.Second).Format(time.RFC3339)) + strings.Repeat(" ", 2048-170)
	}
	parallel := func(b *testing.B, f func(ctx context.Context, n int64) error) {
		b.Helper()
		var n atomic.Int64
		b.SetParallelism(inFlight / 2) // on two processors
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := f(b.Context(), n.Add(1)); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	}
	b.Run("gcs", func(b *testing.B) {
		r := newRig(b, unchanged)
		parallel(b, func(ctx context.Context, n int64) error {
			_, err := r.Send(ctx, made(b, int(n), body(n)))
			return err
		})
	})
	b.Run("bare client", func(b *testing.B) { bare(b, parallel, body, storage.RetryIdempotent, -1) })
	b.Run("bare client, one request", func(b *testing.B) { bare(b, parallel, body, storage.RetryNever, 0) })
}

func bare(b *testing.B, parallel func(*testing.B, func(context.Context, int64) error), body func(int64) string, retry storage.RetryPolicy, chunk int) {
	g := gcptest.Start(b)
	g.Grant("allUsers", gcptest.Create)
	own := &http.Transport{MaxIdleConnsPerHost: inFlight} // the engine's takes no body of unknown length, as that client sends
	b.Cleanup(own.CloseIdleConnections)
	c, err := storage.NewClient(b.Context(), option.WithoutAuthentication(), option.WithEndpoint(g.URL+"/storage/v1/"), option.WithHTTPClient(&http.Client{Transport: own}))
	if err != nil {
		b.Fatal(err)
	}
	parallel(b, func(ctx context.Context, n int64) error {
		w := c.Bucket("acme").Object(fmt.Sprintf("2022-03-16/activity/u-%d.json", n)).Retryer(storage.WithPolicy(retry)).If(storage.Conditions{DoesNotExist: true}).NewWriter(ctx)
		if chunk >= 0 {
			w.ChunkSize = chunk
		}
		w.ContentType, w.DisableAutoChecksum = "application/json", true
		w.Metadata = map[string]string{"fantail-event-id": fmt.Sprint(n)}
		if _, err := w.Write([]byte(body(n))); err != nil {
			return err
		}
		return w.Close()
	})
}
