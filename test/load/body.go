package main

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
)

// bodies makes events of one size that differ in their number only, so that a
// body can be made again, and checked, from its number.
type bodies struct {
	template []byte
	at       int // where the ten digits of the number stand
}

// newBodies builds a sleep event with enough samples to fill size bytes.
func newBodies(size int) bodies {
	const digits = "0000000000"
	head := `{"type":"sleep","version":"2022-03-16","user":{"user_id":"0d09d3a4-f6e8-4f1c-9a3e-2b6c1d5e7f80","provider":"GARMIN","reference_id":"customer-` + digits +
		`","scopes":null,"active":true},"data":[{"metadata":{"start_time":"2026-07-01T22:10:00.000000+02:00","end_time":"2026-07-02T06:31:00.000000+02:00","summary_id":"5f1c"},"heart_rate_data":{"detailed":{"hr_samples":[`
	const tail = `{"timestamp":"2026-07-02T06:31:00.000000+02:00","bpm":52}]}}}]}`
	var b strings.Builder
	b.WriteString(head)
	for i := 0; b.Len()+len(tail) < size; i++ {
		fmt.Fprintf(&b, `{"timestamp":"2026-07-01T22:%02d:%02d.000000+02:00","bpm":%d},`, i/60%60, i%60, 48+i%17)
	}
	b.WriteString(tail)
	t := []byte(b.String())
	return bodies{t, bytes.Index(t, []byte(digits))}
}

// make returns body number n in buf, which it may grow.
func (b bodies) make(buf []byte, n int) []byte {
	buf = append(buf[:0], b.template...)
	for i := range 10 {
		buf[b.at+9-i] = '0' + byte(n%10)
		n /= 10
	}
	return buf
}

// number reads the number from the reference header.
func number(reference string) (int, bool) {
	n, err := strconv.Atoi(reference)
	return n, err == nil && n >= 0
}

// sumSeed is fixed within a process; sums never leave it.
type summer struct{ seed maphash.Seed }

func (s summer) sum(b []byte) uint64 { return maphash.Bytes(s.seed, b) }
