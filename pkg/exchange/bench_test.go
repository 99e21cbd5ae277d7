//go:build unix

package exchange

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the far side of the benchmarks: a process of its own, so
// that what is measured is the client's CPU alone.
func TestMain(m *testing.M) {
	if os.Getenv("EXCHANGE_FAR_SIDE") == "" {
		os.Exit(m.Run())
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	_, _ = os.Stdout.WriteString(plain.URL + " " + secure.URL + "\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends
	os.Exit(0)
}

// farSide starts the far side and returns its addresses.
func farSide(b *testing.B) (plain, secure string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EXCHANGE_FAR_SIDE=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	plain, secure, _ = strings.Cut(strings.TrimSpace(line), " ")
	return plain, secure
}

// BenchmarkPost compares one POST of an exchange with one of net/http's client
// over the same server, which runs in a process of its own. cpu-us/op is the
// CPU of the client's whole process.
func BenchmarkPost(b *testing.B) {
	plain, secure := farSide(b)
	insecure := &tls.Config{InsecureSkipVerify: true}
	pool := NewPool((&net.Dialer{}).DialContext, Limits{64, 64})
	defer pool.Close()
	standard := &http.Transport{MaxIdleConnsPerHost: 64, TLSClientConfig: insecure, DisableCompression: true}
	defer standard.CloseIdleConnections()
	for _, size := range []int{2 << 10, 64 << 10} {
		body := bytes.Repeat([]byte("x"), size)
		for _, url := range []string{plain, secure} {
			name := map[bool]string{true: "TLS", false: "plain"}[url == secure] + map[int]string{2 << 10: "/2KiB", 64 << 10: "/64KiB"}[size]
			b.Run(name+"/nethttp", func(b *testing.B) {
				measure(b, func(ctx context.Context) error {
					req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
					if err != nil {
						return err
					}
					req.Header.Set("Content-Type", "application/json")
					resp, err := standard.RoundTrip(req)
					if err != nil {
						return err
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					return resp.Body.Close()
				})
			})
			b.Run(name+"/exchange", func(b *testing.B) {
				c := pool.Client("acme", insecure)
				defer c.Close()
				host, port, _ := net.SplitHostPort(url[strings.LastIndex(url, "/")+1:])
				r := Request{
					Target: Target{url == secure, host, port}, Method: http.MethodPost, Length: int64(size), Wait: 2 * time.Second,
					Head: func(b []byte) []byte {
						b = append(b, "POST / HTTP/1.1\r\n"...)
						return Fields(b, "Host", host, "Content-Type", "application/json")
					},
					Body: func() (io.Reader, error) { return bytes.NewReader(body), nil },
				}
				measure(b, func(ctx context.Context) error {
					a, err := c.Do(ctx, &r)
					if err != nil {
						return err
					}
					return a.Close()
				})
			})
		}
	}
}

// measure runs post in 32 goroutines.
func measure(b *testing.B, post func(context.Context) error) {
	b.SetParallelism(16)
	b.ReportAllocs()
	before := cpu()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
			if err := post(ctx); err != nil {
				b.Error(err)
			}
			cancel()
		}
	})
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
