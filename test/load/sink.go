package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// arrival is one request that a sink answered, small enough to keep them all.
type arrival struct {
	at    int64 // ns
	stamp int64 // t of the signature
	sum   uint64
	mac   [32]byte
	n     int32
	dest  int32
}

// sink is the far side of every destination: it answers at once, remembers what
// it needs to check each signature and body after the run, and can hang.
type sink struct {
	bodies bodies
	secret string
	summer summer

	mu       sync.Mutex
	arrivals []arrival
	bad      int
	hang     map[int]bool // destinations that do not answer
	released chan struct{}
}

// runSink serves until its standard input closes. It prints its address first.
func runSink(in io.Reader, out io.Writer, size int, secret string) error {
	s := &sink{bodies: newBodies(size), secret: secret, summer: summer{maphash.MakeSeed()}, hang: map[int]bool{}, released: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /d/{dest}", s.receive)
	mux.HandleFunc("POST /control/hang/{from}/{to}", s.setHang)
	mux.HandleFunc("POST /control/reset", func(http.ResponseWriter, *http.Request) {
		s.mu.Lock()
		s.arrivals = s.arrivals[:0]
		s.bad = 0
		s.mu.Unlock()
	})
	mux.HandleFunc("GET /control/count", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		fmt.Fprint(w, len(s.arrivals))
		s.mu.Unlock()
	})
	mux.HandleFunc("GET /control/tally", s.tally)
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	fmt.Fprintln(out, l.Addr())
	io.Copy(io.Discard, in)
	close(s.released)
	return server.Close()
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	body, err := readInto((*buf)[:0], r.Body)
	*buf = body
	if err != nil {
		return
	}
	dest, _ := strconv.Atoi(r.PathValue("dest"))
	s.mu.Lock()
	hangs := s.hang[dest]
	s.mu.Unlock()
	if hangs {
		select {
		case <-r.Context().Done():
		case <-s.released:
		}
		return
	}
	a := arrival{at: time.Now().UnixNano(), sum: s.summer.sum(body), dest: int32(dest)}
	n, ok := number(r.Header.Get("Terra-Reference"))
	a.n = int32(n)
	stamp, mac, cut := strings.Cut(strings.TrimPrefix(r.Header.Get("Terra-Signature"), "t="), ",v1=")
	if cut {
		a.stamp, _ = strconv.ParseInt(stamp, 10, 64)
		hex.Decode(a.mac[:], []byte(mac)[:min(64, len(mac))])
	}
	s.mu.Lock()
	if ok {
		s.arrivals = append(s.arrivals, a)
	} else {
		s.bad++
	}
	s.mu.Unlock()
}

func (s *sink) setHang(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.PathValue("from"))
	to, _ := strconv.Atoi(r.PathValue("to"))
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.hang)
	for i := from; i < to; i++ {
		s.hang[i] = true
	}
	close(s.released)
	s.released = make(chan struct{})
}

// tally checks every arrival and reports, one line of JSON for the counts, then
// 24 bytes of text per first arrival: dest number ns.
func (s *sink) tally(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	all := append([]arrival(nil), s.arrivals...)
	wrong := s.bad
	s.mu.Unlock()
	verify := r.URL.Query().Get("verify") != ""
	type key struct{ dest, n int32 }
	first := make(map[key]int64, len(all))
	duplicates := 0
	var buf []byte
	for _, a := range all {
		k := key{a.dest, a.n}
		if _, twice := first[k]; twice {
			duplicates++
		} else {
			first[k] = a.at
		}
		if verify && !s.genuine(a, &buf) {
			wrong++
		}
	}
	json.NewEncoder(w).Encode(map[string]int{"arrivals": len(all), "duplicates": duplicates, "wrong": wrong})
	for k, at := range first {
		fmt.Fprintln(w, k.dest, k.n, at)
	}
}

// genuine makes the body again and checks bytes and signature.
func (s *sink) genuine(a arrival, buf *[]byte) bool {
	*buf = s.bodies.make(*buf, int(a.n))
	if s.summer.sum(*buf) != a.sum {
		return false
	}
	mac := hmac.New(sha256.New, []byte(s.secret))
	fmt.Fprintf(mac, "%d.", a.stamp)
	mac.Write(*buf)
	return hmac.Equal(mac.Sum(nil), a.mac[:])
}

// readInto reads all of r into b.
func readInto(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
