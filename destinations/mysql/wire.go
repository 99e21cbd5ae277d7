package mysql

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/seed-51f8da91/fantail/destinations/internal/network"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

const (
	// maxHandshake is the size of a packet before the session begins. The largest
	// sound one is a public key of RSA; the cost of using one grows with its square.
	maxHandshake = 4 << 10
	// maxHandshakes is how many packets that may take: a greeting, a change of
	// authentication, two of that, and the end, which a proxy may double.
	maxHandshakes = 12
	// maxPacket is the size of a packet of an answer. Ours are rows of a few names.
	maxPacket = 256 << 10
	// maxColumns is what MySQL allows. The driver makes room for as many as it is told.
	maxColumns = 4096
	// maxAnswerRows is more than three tables have columns.
	maxAnswerRows = 10_000
	// maxAnswer bounds one answer, of which all rows may be kept, and network.Lease all
	// of those between taking the connection from the pool and giving it back.
	maxAnswer = 1 << 20
)

// wire is the connection that the driver sees: without TLS, which lies beneath, and
// with a server that keeps to the protocol and to measure. The driver trusts what a
// server says: it allocates what is announced, and panics at what is cut short.
type wire struct {
	net.Conn // within TLS, if there is any
	raw      net.Conn
	in       *bufio.Reader
	out      []byte // of the packet under way: what the driver gets before the rest of it
	rest     int    // of the packet under way: bytes that follow in in
	err      error  // why there are no more
	closed   atomic.Bool

	answer    answer
	password  string // to answer sha256_password with, within TLS
	shift     byte   // what the numbers of packets differ by: we have sent one of our own
	inClear   bool   // the server waits for the password
	handshake int    // packets of it so far
	spent     int    // bytes since the lease began
}

func newWire(c, raw net.Conn, g *greeting) *wire {
	w := &wire{Conn: c, raw: raw, in: bufio.NewReaderSize(c, maxHandshake+headerSize), out: g.shown()}
	w.answer.state = authenticating
	if g.refusal {
		w.answer.state = silent
	}
	return w
}

// private says that TLS has begun, for which the server has had a packet more than
// the driver knows of.
func (w *wire) private(password string) { w.shift, w.password = 1, password }

// lease begins a new account of bytes.
func (w *wire) lease() { w.spent = 0 }

// breachError says that the server breaks the protocol, or the measure.
type breachError struct{ text string }

func (b *breachError) Error() string { return b.text }

func breach(format string, args ...any) error {
	return &breachError{"the server does not keep to the protocol: " + fmt.Sprintf(format, args...)}
}

// explain returns what broke the connection instead of the driver's saying that
// something did.
func (w *wire) explain(err error) error {
	if b, ok := errors.AsType[*breachError](w.err); ok && err != nil && destination.PanicOf(err) == nil {
		return b
	}
	return err
}

// Read implements net.Conn. A packet is judged before the driver gets any of it.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.out) == 0 && w.rest == 0 && w.err == nil {
		w.err = w.next()
	}
	if len(w.out) > 0 {
		n := copy(p, w.out)
		w.out = w.out[n:]
		return n, nil
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.in.Read(p[:min(len(p), w.rest)])
	w.rest -= n
	return n, err
}

// next reads the header of a packet and as much of it as says what it is.
func (w *wire) next() error {
	header, err := w.in.Peek(headerSize)
	if err != nil {
		return err
	}
	n, number := lengthOf(header), header[3]
	most := maxPacket
	if w.answer.state == authenticating {
		most = maxHandshake
		if w.handshake++; w.handshake > maxHandshakes {
			return breach("its handshake has no end")
		}
	}
	if n == 0 || n > most {
		return breach("a packet of %d bytes", n)
	}
	if w.spent += headerSize + n; w.spent > network.Lease {
		return breach("more than %d bytes for one attempt", network.Lease)
	}
	known, err := w.in.Peek(headerSize + min(n, maxHandshake))
	if err != nil {
		return err
	}
	was := w.answer.state
	if err := w.answer.judge(known[headerSize:], n); err != nil {
		return err
	}
	if was == authenticating {
		w.inClear = w.shift > 0 && asksFor(known[headerSize:], sha256Password)
		number -= w.shift
	}
	var salt []byte
	if was == authenticating {
		salt = saltKept(known[headerSize:])
	}
	if salt != nil {
		w.out = append([]byte{byte(n + 1), byte((n + 1) >> 8), 0, number}, salt...)
		w.rest = 0
		_, err = w.in.Discard(headerSize + n)
		return err
	}
	w.out = []byte{byte(n), byte(n >> 8), byte(n >> 16), number}
	w.rest = n
	_, err = w.in.Discard(headerSize)
	return err
}

// saltKept is a packet that asks for client_ed25519 with a salt that ends in a zero,
// and another zero; nil: it is none. The driver takes one away from the end of every
// salt, since most plugins add one. This one does not: of 256 logins one would fail.
func saltKept(p []byte) []byte {
	const plugin = "client_ed25519"
	if !asksFor(p, plugin) || len(p) != 1+len(plugin)+1+32 || p[len(p)-1] != 0 {
		return nil
	}
	return append(slices.Clone(p), 0)
}

// Write implements net.Conn. The driver writes each packet whole.
func (w *wire) Write(p []byte) (int, error) {
	if len(p) <= headerSize {
		return w.Conn.Write(p)
	}
	if w.answer.state != authenticating {
		if p[3] == 0 { // else the packet goes on with the one before
			w.answer.begin(p[headerSize])
		}
		return w.Conn.Write(p)
	}
	if w.shift == 0 {
		return w.Conn.Write(p)
	}
	own := slices.Clone(p)
	if w.handshake == 0 && len(p) >= headerSize+32 { // the answer to the greeting
		caps := binary.LittleEndian.Uint32(own[headerSize:])
		binary.LittleEndian.PutUint32(own[headerSize:], caps|useTLS)
	}
	own = w.answerInClear(own)
	own[3] += w.shift
	if _, err := w.Conn.Write(own); err != nil {
		return 0, err
	}
	return len(p), nil
}

// answerInClear gives a server the password that asks for it by sha256_password,
// within TLS: the driver, which knows of no TLS, asks for a public key instead.
func (w *wire) answerInClear(p []byte) []byte {
	if !w.inClear || len(p) != headerSize+1 || p[headerSize] != 1 {
		return p
	}
	p = append(p[:headerSize], w.password...)
	p = append(p, 0)
	n := len(p) - headerSize
	p[0], p[1], p[2] = byte(n), byte(n>>8), byte(n>>16)
	return p
}

// Close implements net.Conn. Like the driver it says no goodbye in TLS, which
// would wait for the server to take it.
func (w *wire) Close() error {
	if w.closed.Swap(true) {
		return nil
	}
	return w.raw.Close()
}

// SyscallConn lets the driver see whether a connection that was kept has ended.
func (w *wire) SyscallConn() (syscall.RawConn, error) {
	if s, ok := w.raw.(syscall.Conn); ok && w.in.Buffered() == 0 {
		return s.SyscallConn()
	}
	return nil, io.ErrClosedPipe
}

func lengthOf(header []byte) int {
	return int(header[0]) | int(header[1])<<8 | int(header[2])<<16
}
