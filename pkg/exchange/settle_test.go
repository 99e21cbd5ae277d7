package exchange

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestNothingIsTakenFromAReceiverThatSendsAllBack: it answers before it has read
// and writes what it reads, as a proxy of its own or a handler that copies does.
// To end the connection while its answer is unread would reset it, and what it has
// yet to read of the request would be gone, although the answer was a success.
func TestNothingIsTakenFromAReceiverThatSendsAllBack(t *testing.T) {
	over(t, func(t *testing.T, secure bool) {
		for _, size := range []int{20_000, 100_000, 300_000, 1_500_000, 4_000_000} {
			var got atomic.Int64
			f := serve(t, secure, func(_ int, p *peer) {
				n := 0
				for { // the head
					line, err := p.in.ReadString('\n')
					if err != nil {
						return
					}
					_, _ = fmt.Sscanf(line, "Content-Length: %d", &n)
					if line == "\r\n" {
						break
					}
				}
				_, _ = io.WriteString(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				for part := make([]byte, 32<<10); n > 0; {
					k, err := p.in.Read(part[:min(n, len(part))])
					if err != nil {
						return
					}
					n -= k
					got.Add(int64(k))
					if _, err := fmt.Fprintf(p, "%x\r\n%s\r\n", k, part[:k]); err != nil {
						return
					}
				}
				_, _ = io.WriteString(p, "0\r\n\r\n")
			})
			for range 4 {
				c := client(t)
				got.Store(0)
				r := post(f.Target, strings.Repeat("x", size))
				r.Wait = 2 * time.Second
				a, err := c.Do(within(t, time.Minute), r)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.ReadFull(a, make([]byte, 1<<10))
				_ = a.Close()
				_ = c.Close()
				c.pool.Close()
				if !a.Whole() {
					t.Errorf("%d bytes: %d were taken", size, a.Sent)
				}
				if !eventually(func() bool { return got.Load() == int64(size) }) {
					t.Errorf("%d bytes: it has %d of a request that it has answered", size, got.Load())
				}
			}
		}
	})
}

// TestWhatIsNotTakenIsNotWhole: a receiver that answers and reads nothing has the
// request only when its machine has it.
func TestWhatIsNotTakenIsNotWhole(t *testing.T) {
	over(t, func(t *testing.T, secure bool) {
		f := serve(t, secure, func(_ int, p *peer) {
			_, _ = p.in.ReadString('\n')
			_, _ = io.WriteString(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			<-p.ended
		})
		r := post(f.Target, strings.Repeat("x", 16<<20))
		a, err := client(t).Do(within(t, time.Second), r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Close()
		if a.Whole() || a.Interrupted == nil {
			t.Errorf("%d of %d bytes, %v", a.Sent, a.Length, a.Interrupted)
		}
	})
}
