package copying_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store/copying"
)

// BenchmarkCopy copies as many events as -benchtime says (1000000x) from the embedded store to
// PostgreSQL, and back. A part of the time is that of each phase.
func BenchmarkCopy(b *testing.B) {
	source := folder(b)
	s := open(b, source)
	fill(b, s, b.N)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	there, back := database(b), folder(b)
	copyMeasured(b, "there", [2]place{source, there})
	copyMeasured(b, "back", [2]place{there, back})
}

func copyMeasured(b *testing.B, way string, sides [2]place) {
	b.Helper()
	ends := map[copying.Phase]time.Time{}
	o := options(sides[0], sides[1])
	o.Show = func(p copying.Phase, _ copying.Progress) { ends[p] = time.Now() }
	began := time.Now()
	rep, err := copying.Run(ctx, o)
	if err != nil {
		b.Fatal(err)
	}
	took := ends[copying.Copying].Sub(began)
	b.ReportMetric(float64(rep.Events)/took.Seconds(), way+"-events/s")
	b.ReportMetric(time.Since(ends[copying.Copying]).Seconds(), way+"-check-s")
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	fmt.Sscan(peak, &kib)
	b.ReportMetric(kib/1024, way+"-peak-MiB")
	b.Logf("%s: %+v", way, rep)
}
