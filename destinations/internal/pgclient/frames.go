package pgclient

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
)

const (
	// maxKnown is the size of messages that are read whole before the driver gets
	// them: those of authentication, and parameters of the session.
	maxKnown = 4 << 10
	// maxReady bounds all that comes before a session is ready. Servers and poolers
	// need less than a kilobyte.
	maxReady = 64 << 10
	// maxNames is how many parameters a session may have: the driver keeps all of
	// them. Servers and poolers report about fifteen.
	maxNames = 100
	// maxIterations is how often a password is hashed for SCRAM, for every
	// connection: half a second of a core. PostgreSQL's default is 4096; the
	// highest number that is commonly advised is 600,000.
	maxIterations = 600_000
	// maxColumns is what PostgreSQL allows a result, maxRows far more than any of
	// ours has: the driver keeps them all.
	maxColumns = 1664
	maxRows    = 1000
	// maxResult is the size of a result's rows together, and so of one, or of the
	// description of rows. Ours are lists of columns at most.
	maxResult = 1 << 20
	// maxText is the size of every other message. Notices are words.
	maxText = 64 << 10
)

// frames is what a server says as the driver gets to read it: whole messages that
// keep to the protocol and to measure. The driver trusts servers: it keeps every
// parameter, hashes as often as it is told, and takes it that rows have columns.
type frames struct {
	in   *bufio.Reader
	out  []byte // of the message under way: what the driver gets before the rest of it
	rest int    // of the message under way: bytes that follow in in
	err  error  // why there are no more

	ready   bool
	sasl    uint32 // the kind of message that goes on with SASL; 0: none does
	spent   int    // bytes before that
	names   map[string]bool
	columns int // of the result under way
	rows    int
	size    int // bytes of its rows
}

func newFrames(from io.Reader) *frames {
	return &frames{in: bufio.NewReaderSize(from, maxKnown+5), names: map[string]bool{}}
}

// breach says that a server breaks the protocol, or the measure.
func breach(format string, args ...any) error {
	return fmt.Errorf("the server does not keep to the protocol: "+format, args...)
}

// Read implements io.Reader. An error of the network is not kept: the driver may
// read again after a timeout.
func (f *frames) Read(p []byte) (int, error) {
	if len(f.out) == 0 && f.rest == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if len(f.out) > 0 {
		n := copy(p, f.out)
		f.out = f.out[n:]
		return n, nil
	}
	n, err := f.in.Read(p[:min(len(p), f.rest)])
	f.rest -= n
	return n, err
}

// next reads the head of a message and as much of it as says what it is.
func (f *frames) next() error {
	if f.err != nil {
		return f.err
	}
	head, err := f.in.Peek(5)
	if err != nil {
		return err
	}
	out := bytes.Clone(head) // the next Peek moves what it is
	kind, n := out[0], int(int32(binary.BigEndian.Uint32(out[1:])))-4
	if n < 0 || n > most(kind) {
		f.err = breach("a message %q of %d bytes", kind, n)
		return f.err
	}
	known, err := f.in.Peek(5 + min(n, maxKnown))
	if err != nil {
		return err
	}
	if f.err = f.judge(kind, known[5:], n); f.err != nil {
		return f.err
	}
	f.out, f.rest = out, n
	_, err = f.in.Discard(5)
	return err
}

// most is the size of a message of a kind, -1 of one that nobody asked for. See
// "Message Formats" of PostgreSQL's manual.
func most(kind byte) int {
	switch kind {
	case 'R', 'S', 'K', 'Z', 'v', '1', '2', '3', 'C', 'I', 'n', 's', 't': // authentication, parameter, key, ready, version, and simple ends
		return maxKnown
	case 'T', 'D', 'E': // description, row, error: its context is long where triggers call each other
		return maxResult
	case 'N', 'A': // notice, notification
		return maxText
	}
	return -1 // copies, functions and what there is not
}

func (f *frames) judge(kind byte, p []byte, length int) error {
	if !f.ready {
		if f.spent += length + 5; f.spent > maxReady {
			return breach("more than %d bytes before it is ready", maxReady)
		}
		// The driver has no words for others.
		if bytes.IndexByte([]byte("RSKZENv"), kind) < 0 {
			return breach("a message %q before it is ready", kind)
		}
	}
	switch kind {
	case 'R':
		if err := checkSCRAM(p); err != nil {
			return err
		}
		return f.authenticates(p)
	case 'S':
		name, _, _ := bytes.Cut(p, []byte{0})
		if f.names[string(name)] = true; len(f.names) > maxNames {
			return breach("more than %d parameters", maxNames)
		}
	case 'Z':
		f.ready = true
	case 'T':
		if f.columns, f.rows, f.size = countOf(p), 0, 0; f.columns > maxColumns {
			return breach("a result of %d columns", f.columns)
		}
	case 'D':
		if n := countOf(p); n != f.columns || n == 0 {
			return breach("a row of %d columns in a result of %d", n, f.columns)
		}
		f.rows++
		if f.size += length; f.rows > maxRows || f.size > maxResult {
			return breach("a result of more than %d rows, or %d bytes", maxRows, maxResult)
		}
	}
	return nil
}

// The kinds of messages of authentication that the driver knows, and those of SASL,
// which come in this order.
const (
	saslBegins    = 10
	saslContinues = 11
	saslEnds      = 12
)

var authentications = []uint32{0, 3, 5, 7} // done; in clear, MD5, GSS

// authenticates looks at the order of messages: the driver has no words for one
// that it does not wait for.
func (f *frames) authenticates(p []byte) error {
	var kind uint32
	if len(p) >= 4 {
		kind = binary.BigEndian.Uint32(p)
	}
	next := map[uint32]uint32{saslBegins: saslContinues, saslContinues: saslEnds}[kind]
	if kind != saslBegins && kind != f.sasl && !slices.Contains(authentications, kind) {
		return breach("a message %d of authentication", kind)
	}
	f.sasl = next
	return nil
}

// countOf reads the count that descriptions and rows begin with.
func countOf(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(p))
}

// checkSCRAM looks at how often a server wants the password hashed (RFC 5802, 5.1),
// in the message that continues SASL.
func checkSCRAM(p []byte) error {
	if len(p) < 4 || binary.BigEndian.Uint32(p) != saslContinues {
		return nil
	}
	for field := range bytes.SplitSeq(p[4:], []byte{','}) {
		text, ok := bytes.CutPrefix(field, []byte("i="))
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(string(text)); err != nil || n > maxIterations {
			return breach("it wants the password hashed %.20q times: %d are the most (scram_iterations)", text, maxIterations)
		}
	}
	return nil
}
