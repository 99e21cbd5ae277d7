package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// loader sends events over a fixed number of connections, with as little work
// of its own as net/http allows: it shares the machine with what it measures.
type loader struct {
	task
	transport *http.Transport
	bodies    bodies
	single    []*url.URL // of each daemon
	batch     []*url.URL
	direct    []*url.URL // by developer
	began     time.Time
	taken     atomic.Int64 // numbers handed out
}

func newLoader(t task) *loader {
	return &loader{task: t, bodies: newBodies(t.Size), transport: &http.Transport{
		DialContext:  (&net.Dialer{Timeout: time.Minute}).DialContext,
		MaxIdleConns: t.Conns, MaxIdleConnsPerHost: t.Conns, MaxConnsPerHost: t.Conns,
		DisableCompression: true,
		WriteBufferSize:    min(max(4<<10, (t.Size+1<<10)*max(1, t.Batch)), 128<<10),
	}}
}

func (l *loader) run(ctx context.Context) ([]sending, time.Duration, error) {
	for i, text := range append([]string{l.URL}, l.Others...) {
		base, err := url.Parse(text)
		if err != nil {
			return nil, 0, err
		}
		at := func(path string) *url.URL { return base.ResolveReference(&url.URL{Path: path}) }
		l.single, l.batch = append(l.single, at("/v1/events")), append(l.batch, at("/v1/events/batch"))
		for d := range l.Developers {
			if i == 0 {
				l.direct = append(l.direct, at("/d/"+strconv.Itoa(d)))
			}
		}
	}
	defer l.transport.CloseIdleConnections()
	seen := make([][]sending, l.Conns)
	before := ownCPU()
	l.began = time.Now()
	turns := l.turns(ctx)
	var wg sync.WaitGroup
	for c := range l.Conns {
		wg.Go(func() { seen[c] = l.connection(ctx, turns) })
	}
	wg.Wait()
	return slices.Concat(seen...), ownCPU() - before, ctx.Err()
}

// turns hands out, at a fixed rate, when each event should be sent, whatever becomes of those before
// it. It is nil without a rate.
func (l *loader) turns(ctx context.Context) chan time.Time {
	if l.Rate == 0 {
		return nil
	}
	n := int(l.Rate * l.For.Seconds())
	if l.Count > 0 {
		n = min(n, l.Count)
	}
	turns := make(chan time.Time, n)
	go func() {
		defer close(turns)
		for i := 0; i < n && ctx.Err() == nil; i++ {
			at := l.began.Add(time.Duration(float64(i) / l.Rate * float64(time.Second)))
			sleepUntil(at)
			turns <- at
		}
	}()
	return turns
}

// take returns the next event, or events, to send.
func (l *loader) take(turns chan time.Time) (n, count int, due time.Time, ok bool) {
	if turns != nil {
		if due, ok = <-turns; !ok {
			return 0, 0, due, false // takes no number: those sent have no gap
		}
		return l.First + int(l.taken.Add(1)-1), 1, due, ok
	}
	due, count = time.Now(), max(1, l.Batch)
	i := int(l.taken.Add(int64(count))) - count
	if l.Count > 0 {
		count = min(count, l.Count-i)
	}
	return l.First + i, count, due, count > 0 && due.Sub(l.began) < l.For
}

func (l *loader) connection(ctx context.Context, turns chan time.Time) (seen []sending) {
	var buf []byte
	for ctx.Err() == nil {
		n, count, due, ok := l.take(turns)
		if !ok {
			return seen
		}
		s := sending{N: int32(n), Count: int32(count), Due: due.UnixNano()}
		if l.Batch > 0 {
			buf = buf[:0]
			for i := range count {
				buf = l.bodies.appendLine(buf, l.developer(n+i), n+i)
			}
			seen = append(seen, l.postBatch(s, buf)...)
			continue
		}
		buf = l.bodies.append(buf[:0], n)
		seen = append(seen, l.post(s, buf))
	}
	return seen
}

func (l *loader) send(to *url.URL, h http.Header, body []byte) (*http.Response, error) {
	req := &http.Request{
		Method: http.MethodPost, URL: to, Host: to.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	return l.transport.RoundTrip(req)
}

func (l *loader) post(s sending, body []byte) sending {
	n := int(s.N)
	to := l.single[n%len(l.single)]
	if l.Direct {
		to = l.direct[l.turn(n)]
	}
	h := http.Header{"Content-Type": {"application/json"}, "Dev-Id": {l.developer(n)}, "Terra-Reference": {strconv.Itoa(n)}}
	if l.Token != "" {
		h["Authorization"] = []string{"Bearer " + l.Token}
	}
	s.Sent = time.Now().UnixNano()
	res, err := l.send(to, h, body)
	if err != nil {
		s.Acked = time.Now().UnixNano()
		return s
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	s.Acked, s.Status = time.Now().UnixNano(), int32(res.StatusCode)
	return s
}

// postBatch sends the lines of s. Results come in order, one a line. A line without a result was not
// accepted.
func (l *loader) postBatch(s sending, lines []byte) []sending {
	s.Sent = time.Now().UnixNano()
	results, alike := l.results(l.batch[int(s.N)/max(1, l.Batch)%len(l.batch)], lines)
	s.Acked = time.Now().UnixNano()
	if alike && len(results) == int(s.Count) {
		s.Status = results[0]
		return []sending{s}
	}
	each := make([]sending, s.Count)
	for i := range each {
		each[i] = s
		each[i].N, each[i].Count = s.N+int32(i), 1
		if i < len(results) {
			each[i].Status = results[i]
		}
	}
	return each
}

// results reads the status of each line, and tells whether all are the same.
func (l *loader) results(to *url.URL, lines []byte) (status []int32, alike bool) {
	res, err := l.send(to, http.Header{"Content-Type": {"application/x-ndjson"}}, lines)
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	alike = res.StatusCode == http.StatusOK
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		_, rest, _ := bytes.Cut(in.Bytes(), []byte(`"status":`))
		var one int32
		fmt.Fscan(bytes.NewReader(rest[:min(3, len(rest))]), &one)
		status = append(status, one)
		alike = alike && one == status[0]
	}
	return status, alike
}

// accepted tells whether the daemon has the event, or in a direct run the sink.
func (s *sending) accepted() bool {
	return s.Status == http.StatusAccepted || s.Status == http.StatusOK
}

// ownCPU is how long this process has run on a processor.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
