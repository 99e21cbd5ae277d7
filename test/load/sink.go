package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sink is the far side of every destination: it answers at once, remembers what
// it needs to check each signature and body after the run, and can hang.
type sink struct {
	check checker
	stall atomic.Pointer[stall]

	mu   sync.Mutex
	kept [][]arrival // chunks: what is kept is never copied under the lock
	n    int
	bad  int
}

// arrival is one request that the sink answered, small enough to keep them all.
type arrival struct {
	at    int64 // ns: the last byte was read
	stamp int64 // t of the signature
	sum   uint64
	mac   [32]byte
	size  int32
	n     int32
	dest  int32
}

const chunk = 1 << 14

// stall says that destinations from (inclusive) to (exclusive) do not answer
// until it is over.
type stall struct {
	from, to int
	over     chan struct{}
}

// large bodies are not even read while their destination hangs. Smaller ones are, because net/http then
// notices that the client has gone.
const large = 1 << 20

// runSink serves until its standard input closes. It prints its address first.
// sizes are those of the bodies to expect.
func runSink(in io.Reader, out io.Writer, secret string, sizes []int) error {
	s := &sink{check: newChecker(secret, sizes)}
	s.stall.Store(&stall{over: make(chan struct{})})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control := http.NewServeMux()
	control.HandleFunc("POST /hang/{from}/{to}", s.hang)
	control.HandleFunc("POST /reset", s.reset)
	control.HandleFunc("GET /count", s.count)
	control.HandleFunc("GET /tally", s.tally)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to, ok := strings.CutPrefix(r.URL.Path, "/d/"); ok {
			dest, _ := strconv.Atoi(to)
			s.receive(r, dest)
			return
		}
		control.ServeHTTP(w, r)
	})}
	go server.Serve(l)
	fmt.Fprintln(out, l.Addr())
	io.Copy(io.Discard, in)
	s.setStall(0, 0)
	return server.Close()
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

func (s *sink) receive(r *http.Request, dest int) {
	st := s.stall.Load()
	hangs := dest >= st.from && dest < st.to
	if hangs && r.ContentLength > large {
		<-st.over
	}
	buf := buffers.Get().(*[]byte)
	sum, size, err := s.check.read(r.Body, *buf)
	buffers.Put(buf)
	if err != nil {
		return
	}
	if hangs {
		select {
		case <-st.over:
		case <-r.Context().Done():
			return
		}
	}
	a := arrival{at: time.Now().UnixNano(), sum: sum, size: int32(size), dest: int32(dest)}
	n, err := strconv.Atoi(r.Header.Get("Terra-Reference"))
	a.n = int32(n)
	stamp, mac, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Terra-Signature"), "t="), ",v1=")
	a.stamp, _ = strconv.ParseInt(stamp, 10, 64) // a signature that is missing or malformed fails the check
	hex.Decode(a.mac[:], []byte(mac)[:min(64, len(mac))])
	s.keep(a, err == nil)
}

func (s *sink) keep(a arrival, numbered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !numbered {
		s.bad++
		return
	}
	if s.n%chunk == 0 {
		s.kept = append(s.kept, make([]arrival, 0, chunk))
	}
	last := &s.kept[len(s.kept)-1]
	*last = append(*last, a)
	s.n++
}

func (s *sink) hang(_ http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.PathValue("from"))
	to, _ := strconv.Atoi(r.PathValue("to"))
	s.setStall(from, to)
}

func (s *sink) setStall(from, to int) {
	close(s.stall.Swap(&stall{from, to, make(chan struct{})}).over)
}

func (s *sink) reset(http.ResponseWriter, *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.n, s.bad = nil, 0, 0
}

func (s *sink) count(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(w, s.n)
}

// found is the first line of a tally.
type found struct {
	Arrivals int
	Wrong    int // of a body or a signature that is not what was sent
}

// tally checks every arrival, then lists them: destination, number, ns.
func (s *sink) tally(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	chunks := append([][]arrival(nil), s.kept...)
	f := found{Arrivals: s.n, Wrong: s.bad}
	s.mu.Unlock()
	for _, c := range chunks {
		for i := range c {
			if !s.check.genuine(&c[i]) {
				f.Wrong++
			}
		}
	}
	out := bufio.NewWriter(w)
	defer out.Flush()
	json.NewEncoder(out).Encode(f)
	var line []byte
	for _, c := range chunks {
		for _, a := range c {
			line = append(strconv.AppendInt(line[:0], int64(a.dest), 10), ' ')
			line = append(strconv.AppendInt(line, int64(a.n), 10), ' ')
			out.Write(append(strconv.AppendInt(line, a.at, 10), '\n'))
		}
	}
}
