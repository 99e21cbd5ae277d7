package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// task is what a loader process does.
type task struct {
	URL        string        // where to POST; %d stands for the destination of a direct run
	Direct     bool          // straight to the sink, without the daemon: the floor
	Developers int           // events go to developers d0, d1, ... in turn
	Conns      int           // connections, and requests under way at most
	Rate       float64       // events a second by the clock (open loop); 0: as fast as answers come
	For        time.Duration // of sending
	Count      int           // stop after that many; 0: none
	First      int           // number of the first event
	Size       int           // bytes of a body
}

// sending is one event as the loader saw it, in ns.
type sending struct {
	n      int
	start  int64 // when it was sent; with a rate, when it should have been
	acked  int64
	status int // 0: no answer
}

// runLoader does t and writes one line per event: number start acked status.
func runLoader(ctx context.Context, t task, out io.Writer) error {
	transport := &http.Transport{
		DialContext:  (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConns: t.Conns, MaxIdleConnsPerHost: t.Conns, MaxConnsPerHost: t.Conns,
		DisableCompression: true,
		WriteBufferSize:    max(4<<10, min(t.Size+1<<10, 128<<10)),
	}
	defer transport.CloseIdleConnections()
	b := newBodies(t.Size)
	var next atomic.Int64
	sent := make([][]sending, t.Conns)
	began := time.Now()
	var wg sync.WaitGroup
	for c := range t.Conns {
		wg.Go(func() {
			var buf []byte
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				at := time.Now()
				if t.Rate > 0 {
					at = began.Add(time.Duration(float64(i) / t.Rate * float64(time.Second)))
					if d := time.Until(at); d > 0 {
						time.Sleep(d)
					}
				}
				if at.Sub(began) >= t.For || t.Count > 0 && i >= t.Count {
					return
				}
				n := t.First + i
				buf = b.make(buf, n)
				status := post(transport, t, n, buf)
				sent[c] = append(sent[c], sending{n, at.UnixNano(), time.Now().UnixNano(), status})
			}
		})
	}
	wg.Wait()
	w := bufio.NewWriter(out)
	for _, mine := range sent {
		for _, s := range mine {
			fmt.Fprintln(w, s.n, s.start, s.acked, s.status)
		}
	}
	return w.Flush()
}

func post(transport *http.Transport, t task, n int, body []byte) (status int) {
	url := t.URL
	if t.Direct {
		url = t.URL + "/d/" + strconv.Itoa(n%max(t.Developers, 1))
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header["Content-Type"] = []string{"application/json"}
	req.Header["Dev-Id"] = []string{"d" + strconv.Itoa(n%max(t.Developers, 1))}
	req.Header["Terra-Reference"] = []string{strconv.Itoa(n)}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.StatusCode
}
