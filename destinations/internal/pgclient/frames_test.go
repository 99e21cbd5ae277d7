package pgclient

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func message(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))) + body
}

const (
	letIn  = "\x00\x00\x00\x00"
	isIdle = "I"
)

// ready is what a session begins with.
func ready() string {
	return message('R', letIn) + message('S', "server_version\x0018.1\x00") + message('K', "12345678") + message('Z', isIdle)
}

// TestSoundMessagesPassAsTheyAre, in whatever pieces they come.
func TestSoundMessagesPassAsTheyAre(t *testing.T) {
	row := "\x00\x01\x00\x01\x00\x00" + strings.Repeat("x", 64<<10)
	said := message('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00") + message('R', "\x00\x00\x00\x0bR=x,s=c2FsdA==,i=600000") + ready() +
		message('T', "\x00\x01x\x00"+strings.Repeat("\x00", 18)) + strings.Repeat(message('D', row), 10) + message('C', "SELECT 10\x00") +
		message('E', "SERROR\x00C42P01\x00Mno\x00\x00") + message('N', "x") + message('1', "") + message('2', "") + message('n', "") + message('s', "") + message('Z', isIdle)
	for name, pieces := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader,
	} {
		got, err := io.ReadAll(newFrames(pieces(strings.NewReader(said))))
		if err != nil || string(got) != said {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(said), err)
		}
	}
}

func TestWhatAServerMayNotSay(t *testing.T) {
	parameters := func(n, size int) (all string) {
		for i := range n {
			all += message('S', fmt.Sprintf("name%d\x00%s\x00", i, strings.Repeat("x", size)))
		}
		return all
	}
	one := message('T', "\x00\x01x\x00"+strings.Repeat("\x00", 18))
	for name, tt := range map[string]struct{ said, wants string }{
		"a negative length":            {"R\xff\xff\xff\xff", "a message 'R' of -5 bytes"},
		"2 GB":                         {ready() + "S\x7f\xff\xff\xff", "a message 'S' of"},
		"an error of 1 MB":             {message('E', strings.Repeat("x", 1<<20)), "more than 65536 bytes before"},
		"an error of 1 MB later":       {ready() + message('E', strings.Repeat("x", 2<<20)), "a message 'E' of"},
		"a message of later":           {message('R', letIn) + message('T', "\x00\x01x\x00"), "a message 'T' before it is ready"},
		"authentication out of order":  {message('R', "\x00\x00\x00\x0c"), "a message 12 of authentication"},
		"a kind that nobody asked for": {ready() + message('H', "\x00\x00\x00"), "a message 'H' of"},
		"many parameters":              {message('R', letIn) + parameters(101, 1), "more than 100 parameters"},
		"many parameters later":        {ready() + parameters(101, 1), "more than 100 parameters"},
		"too much before it is ready":  {message('R', letIn) + parameters(90, 1000), "more than 65536 bytes before it is ready"},
		"notices before it is ready":   {strings.Repeat(message('N', "x"), 20_000), "more than 65536 bytes before it is ready"},
		"rounds of SCRAM":              {message('R', "\x00\x00\x00\x0br=x,s=c2FsdA==,i=600001"), "hashed \"600001\" times"},
		"rounds that are no number":    {message('R', "\x00\x00\x00\x0br=x,s=c2FsdA==,i=99999999999999999999"), "wants the password hashed"},
		"many columns":                 {ready() + message('T', "\xff\xff"+strings.Repeat("x", 100)), "a result of 65535 columns"},
		"a row without columns":        {ready() + message('T', "\x00\x00") + message('D', "\x00\x00"), "a row of 0 columns"},
		"a row without a count":        {ready() + one + message('D', ""), "a row of 0 columns"},
		"a row of others":              {ready() + one + message('D', "\x00\x02xx"), "a row of 2 columns in a result of 1"},
		"a row without a result":       {ready() + message('D', "\x00\x01\x00\x00\x00\x00"), "a row of 1 columns in a result of 0"},
		"many rows":                    {ready() + one + strings.Repeat(message('D', "\x00\x01\x00\x00\x00\x00"), 1001), "a result of more than 1000 rows"},
		"large rows":                   {ready() + one + strings.Repeat(message('D', "\x00\x01"+strings.Repeat("x", 64<<10)), 17), "or 1048576 bytes"},
	} {
		f := newFrames(strings.NewReader(tt.said))
		got, err := io.ReadAll(f)
		if err == nil || !strings.Contains(err.Error(), tt.wants) || !strings.HasPrefix(tt.said, string(got)) {
			t.Errorf("%s: %v, want %q", name, err, tt.wants)
		}
		if _, again := f.Read(make([]byte, 1)); again == nil || err != nil && again.Error() != err.Error() {
			t.Errorf("%s: read on: %v", name, again)
		}
	}
}

// TestATimeoutIsNotTheEnd: the driver reads again.
func TestATimeoutIsNotTheEnd(t *testing.T) {
	said := ready()
	f := newFrames(iotest.TimeoutReader(iotest.HalfReader(strings.NewReader(said))))
	var got []byte
	timeouts := 0
	for p := make([]byte, 7); ; {
		n, err := f.Read(p)
		got = append(got, p[:n]...)
		if errors.Is(err, iotest.ErrTimeout) || errors.Is(err, os.ErrDeadlineExceeded) {
			timeouts++
		} else if err != nil {
			break
		}
	}
	if string(got) != said || timeouts != 1 {
		t.Errorf("%q, %d timeouts", got, timeouts)
	}
}

// FuzzFrames: whatever a server says, the driver gets a part of it from the
// beginning, and within it whole heads alone.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(ready() + message('T', "\x00\x00") + message('D', "\x00\x00")))
	f.Add([]byte("R\x00\x00\x00\x03"))
	f.Fuzz(func(t *testing.T, said []byte) {
		got, _ := io.ReadAll(newFrames(bytes.NewReader(said)))
		if !bytes.HasPrefix(said, got) {
			t.Errorf("%q became %q", said, got)
		}
	})
}
