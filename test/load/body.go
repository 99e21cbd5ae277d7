package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// bodies makes events of one size that differ in their number alone, so that a body can be made again
// from its number and compared.
type bodies struct {
	template []byte
	at       int // where the ten digits of the number stand
}

// newBodies builds a sleep event with as many samples as go into size bytes,
// and blanks for the rest. It is never smaller than an event without samples.
func newBodies(size int) bodies {
	const digits = "0000000000"
	head := `{"type":"sleep","version":"2022-03-16","user":{"user_id":"0d09d3a4-f6e8-4f1c-9a3e-2b6c1d5e7f80","provider":"GARMIN","reference_id":"customer-` + digits +
		`","scopes":null,"active":true},"data":[{"metadata":{"start_time":"2026-07-01T22:10:00.000000+02:00","end_time":"2026-07-02T06:31:00.000000+02:00","summary_id":"5f1c"},"heart_rate_data":{"detailed":{"hr_samples":[`
	const tail = `{"timestamp":"2026-07-02T06:31:00.000000+02:00","bpm":52}]}}}]}`
	var b strings.Builder
	b.WriteString(head)
	for i := 0; ; i++ {
		sample := fmt.Sprintf(`{"timestamp":"2026-07-01T22:%02d:%02d.000000+02:00","bpm":%d},`, i/60%60, i%60, 48+i%17)
		if b.Len()+len(sample)+len(tail) > size {
			break
		}
		b.WriteString(sample)
	}
	b.WriteString(strings.Repeat(" ", max(0, size-b.Len()-len(tail))))
	b.WriteString(tail)
	t := []byte(b.String())
	return bodies{t, bytes.Index(t, []byte(digits))}
}

// append adds body number n to buf.
func (b bodies) append(buf []byte, n int) []byte {
	from := len(buf)
	buf = append(buf, b.template...)
	for i := range 10 {
		buf[from+b.at+9-i] = '0' + byte(n%10)
		n /= 10
	}
	return buf
}

// appendLine adds event number n to buf as a line of a batch.
func (b bodies) appendLine(buf []byte, developer string, n int) []byte {
	buf = append(append(append(buf, `{"dev_id":"`...), developer...), `","reference":"`...)
	buf = append(strconv.AppendInt(buf, int64(n), 10), `","event":`...)
	return append(b.append(buf, n), '}', '\n')
}
