package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// task is what a loader process does. It goes to the process as JSON.
type task struct {
	Token      string        // of the daemon's API; "": none
	URL        string        // of the daemon, or of the sink of a direct run
	Others     []string      // URLs of further daemons on the same store: requests go to each in turn
	Direct     bool          // straight to the sink, without the daemon: the floor
	Prefix     string        // events go to developers <Prefix>0, <Prefix>1, ..., by turn
	Developers int           // how many of them
	Conns      int           // connections, and requests under way at most
	Batch      int           // events of a request; 0: single events
	Rate       float64       // events a second by the clock (open loop); 0: as fast as answers come
	For        time.Duration // of sending
	Count      int           // stop after that many events; 0: none
	First      int           // number of the first event
	Size       int           // bytes of a body
}

func (t *task) developer(n int) string { return t.Prefix + strconv.Itoa(t.turn(n)) }

// turn returns which developer event n goes to. Each has one turn in as many events as there are
// developers, in steps of the golden ratio: that spreads what the first of them do evenly over time.
func (t *task) turn(n int) int {
	step := max(1, int(float64(t.Developers)*0.618))
	for !coprime(step, t.Developers) {
		step++
	}
	return n % t.Developers * step % t.Developers
}

func coprime(a, b int) bool {
	for b > 0 {
		a, b = b, a%b
	}
	return a == 1
}

// sending is one request as the loader saw it: events N to N+Count-1. Times are ns of the wall clock,
// which the sink shares because it runs on the same machine.
type sending struct {
	N, Count int32
	Due      int64 // when it should have been sent; without a rate, when it was
	Sent     int64 // just before its first byte
	Acked    int64
	Status   int32 // 0: no answer
}

// sent is what became of a task.
type sent struct {
	task
	all []sending
	cpu time.Duration // of the loader while it sent
}

// writeSent hands what a loader saw to whoever started it.
func writeSent(out io.Writer, all []sending, cpu time.Duration) error {
	w := bufio.NewWriter(out)
	if _, err := fmt.Fprintln(w, len(all), int64(cpu)); err != nil {
		return err
	}
	for i := range all {
		if err := binary.Write(w, binary.LittleEndian, &all[i]); err != nil {
			return err
		}
	}
	return w.Flush()
}

func readSent(in *bufio.Reader) (all []sending, cpu time.Duration, err error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, 0, err
	}
	var n, ns int64
	if _, err := fmt.Sscan(line, &n, &ns); err != nil {
		return nil, 0, err
	}
	all = make([]sending, n)
	return all, time.Duration(ns), binary.Read(in, binary.LittleEndian, all)
}

// load runs t in a loader process of its own.
func load(ctx context.Context, t task) (s sent, err error) {
	text, err := json.Marshal(t)
	if err != nil {
		return s, err
	}
	p, err := startProcess(os.Args[0], "loader", string(text))
	if err != nil {
		return s, err
	}
	defer context.AfterFunc(ctx, func() { p.Process.Kill() })()
	s.task = t
	s.all, s.cpu, err = readSent(p.out)
	if end := p.end(); end != nil {
		return s, fmt.Errorf("loader: %w", end)
	}
	if err != nil {
		return s, fmt.Errorf("read what the loader saw: %w", err)
	}
	return s, nil
}

func runLoader(ctx context.Context, text string, out io.Writer) error {
	var t task
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&t); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	if t.Developers < 1 || t.Conns < 1 {
		return fmt.Errorf("the task needs developers and connections: %s", text)
	}
	all, cpu, err := newLoader(t).run(ctx)
	if err != nil {
		return err
	}
	return writeSent(out, all, cpu)
}

// next is the number after the last event.
func (s *sent) next() int {
	next := s.First
	for _, one := range s.all {
		next = max(next, int(one.N+one.Count))
	}
	return next
}

func (s *sent) accepted() (n int) {
	for _, one := range s.all {
		if one.accepted() {
			n += int(one.Count)
		}
	}
	return n
}

func (s *sent) refused() (n int) {
	for _, count := range s.refusals() {
		n += count
	}
	return n
}

// refusals counts by status what was not accepted; 0: no answer.
func (s *sent) refusals() map[int32]int {
	n := map[int32]int{}
	for _, one := range s.all {
		if !one.accepted() {
			n[one.Status] += int(one.Count)
		}
	}
	return n
}

// began is when the first request should have been sent, in ns.
func (s *sent) began() int64 {
	began := int64(0)
	for i, one := range s.all {
		if i == 0 || one.Due < began {
			began = one.Due
		}
	}
	return began
}
