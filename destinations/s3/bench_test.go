package s3

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// inFlight is how many deliveries are under way at once.
const inFlight = 16

// BenchmarkSend delivers events of 2 KiB, each under a key of its own, 16 at
// once; beside it a bare loop of the SDK does the same puts: bytes, keys, metadata
// and condition, all made beforehand. CPU is this process's: the server, a process
// of its own on the same machine, is left out of it, but not of the rate.
func BenchmarkSend(b *testing.B) {
	g := startGateway(b)
	body := func(n int64) []byte {
		return fmt.Appendf(nil, `{"type":"auth","user":{"user_id":"u%d"},"s":"%s"}`, n, strings.Repeat("x", 2000))
	}
	b.Run("s3", func(b *testing.B) {
		f := g.bucket(b)
		d := openWith(b, f.config, plainDeps(b))
		deliveries := make([]destination.Delivery, b.N+1)
		for n := range deliveries {
			deliveries[n] = destinationtest.Delivery(b, n, body(int64(n)))
		}
		measure(b, func(ctx context.Context, n int64) error {
			_, err := d.Send(ctx, deliveries[n])
			return err
		})
	})
	b.Run("bare SDK", func(b *testing.B) {
		f := g.bucket(b)
		deps := plainDeps(b)
		client := sdk.NewFromConfig(sdkaws.Config{
			Region: g.Region, BaseEndpoint: &g.Endpoint, HTTPClient: deps.HTTP,
			Credentials: credentials.NewStaticCredentialsProvider(g.UserAccessKey, g.UserSecretKey, ""),
		}, func(o *sdk.Options) { o.UsePathStyle = true })
		names := openWith(b, f.config, deps)
		objects := make([]objectkey.Object, b.N+1)
		for n := range objects {
			for o := range names.objects(destinationtest.Delivery(b, n, body(int64(n))).Event) {
				objects[n] = o
			}
		}
		measure(b, func(ctx context.Context, n int64) error {
			o := objects[n]
			_, err := client.PutObject(ctx, &sdk.PutObjectInput{
				Bucket: &f.name, Key: &o.Keys[0], Body: bytes.NewReader(o.Body), ContentType: ptr("application/json"), Metadata: o.Meta, IfNoneMatch: ptr("*"),
			})
			return err
		})
	})
}

// BenchmarkEventOf500Items is one attempt of an event of 1 MiB whose 500 items
// become objects of 2 KiB.
func BenchmarkEventOf500Items(b *testing.B) {
	g := startGateway(b)
	f := g.bucket(b)
	d := openWith(b, f.config, plainDeps(b))
	body := manyItems(500, 1900)
	var n int
	for b.Loop() {
		n++
		x := destinationtest.Delivery(b, n, bytes.ReplaceAll(body, []byte(`"u1"`), fmt.Appendf(nil, `"u%d"`, n)))
		if r, err := d.Send(b.Context(), x); err != nil || r.Answer != "500 stored" {
			b.Fatal(err, r)
		}
	}
}

// measure runs op b.N times, inFlight at once, and reports rate and CPU.
func measure(b *testing.B, op func(ctx context.Context, n int64) error) {
	b.ReportAllocs()
	var n atomic.Int64
	b.SetParallelism(max(1, inFlight/runtime.GOMAXPROCS(0))) // times GOMAXPROCS
	before := cpu(b)
	b.ResetTimer()
	started := time.Now()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := op(b.Context(), n.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	took := time.Since(started)
	b.ReportMetric(float64(b.N)/took.Seconds(), "deliveries/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
