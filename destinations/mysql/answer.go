package mysql

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
)

// state is what a server may say next.
type state int

const (
	silent         state = iota // nothing: no command was sent, or it has been answered
	authenticating              // what handshakes are made of
	simple                      // OK or an error
	heading                     // OK, an error, or how many columns there will be
	columns                     // left of them, and an end
	answering                   // rows, and an end
	preparing                   // OK with numbers, or an error
	describing                  // left of parameters and columns, with their ends
)

// answer follows what a server says to one command. See "Command Phase" of MySQL's
// description of its protocol, which MariaDB's is like as far as we speak it.
type answer struct {
	state state
	left  int // packets of columns or describing
	rows  int
	bytes int
}

// Commands that the driver sends.
const (
	comQuit         = 1
	comQuery        = 3
	comPing         = 14
	comPrepare      = 22
	comExecute      = 23
	comSendLongData = 24
	comCloseStmt    = 25
)

// Packets by their first byte.
const (
	isOK    = 0
	isMore  = 1
	isLocal = 0xfb
	isEOF   = 0xfe
	isERR   = 0xff
)

// begin expects what the server says to a command.
func (a *answer) begin(command byte) {
	*a = answer{state: simple}
	switch command {
	case comQuery, comExecute:
		a.state = heading
	case comPrepare:
		a.state = preparing
	case comQuit, comSendLongData, comCloseStmt:
		a.state = silent
	}
}

// judge looks at the next packet: how it begins, which is all of it up to 4 KiB,
// and its length.
func (a *answer) judge(p []byte, length int) error {
	if a.bytes += length + headerSize; a.bytes > maxAnswer {
		return breach("an answer of more than %d bytes", maxAnswer)
	}
	if a.state == silent {
		return breach("it goes on after the end of its answer")
	}
	if p[0] == isERR && a.state != columns && a.state != describing {
		a.state = silent
		if length > maxHandshake {
			return breach("an error of %d bytes", length)
		}
		return checkERR(p)
	}
	switch a.state {
	case authenticating:
		return a.authenticate(p)
	case simple:
		return a.ok(p)
	case heading:
		return a.head(p, length)
	case columns:
		if a.left > 0 {
			a.left--
			return nil
		}
		a.state = answering
		return checkEOF(p, length)
	case answering:
		return a.row(p, length)
	case preparing:
		return a.prepare(p)
	}
	if a.left--; a.left == 0 { // describing
		a.state = silent
	}
	return nil
}

func (a *answer) authenticate(p []byte) error {
	switch p[0] {
	case isOK:
		return a.ok(p)
	case isMore:
		return checkKey(p[1:])
	case isEOF:
		end := bytes.IndexByte(p, 0)
		if end < 0 || len(p)-end-1 < 20 { // the driver takes 20 bytes of salt unasked
			return breach("it asks for another authentication with half a packet")
		}
		return nil
	}
	return breach("its handshake has a packet that begins with %#x", p[0])
}

// ok ends an answer.
func (a *answer) ok(p []byte) error {
	a.state = silent
	if p[0] != isOK {
		return breach("a packet that begins with %#x instead of a simple answer", p[0])
	}
	rest := p[1:]
	for range 2 { // rows that changed, and the last id
		_, n := integer(rest)
		if n == 0 {
			return breach("half an OK")
		}
		rest = rest[n:]
	}
	if len(rest) < 2 { // status
		return breach("half an OK")
	}
	return nil
}

func (a *answer) head(p []byte, length int) error {
	switch p[0] {
	case isOK:
		return a.ok(p)
	case isLocal:
		return breach("it asks for a file of this machine")
	}
	count, n := integer(p)
	if n == 0 || n != length || count == 0 || count > maxColumns {
		return breach("a result of %d columns", count)
	}
	a.state, a.left = columns, int(count)
	return nil
}

func (a *answer) row(p []byte, length int) error {
	if p[0] == isEOF {
		a.state = silent
		return checkEOF(p, length)
	}
	if a.rows++; a.rows > maxAnswerRows {
		return breach("a result of more than %d rows", maxAnswerRows)
	}
	return nil
}

func (a *answer) prepare(p []byte) error {
	if p[0] != isOK || len(p) < 12 {
		return breach("half a prepared statement")
	}
	a.state = silent
	for _, at := range []int{5, 7} { // columns, parameters
		if n := int(binary.LittleEndian.Uint16(p[at:])); n > 0 {
			a.state, a.left = describing, a.left+n+1
		}
	}
	return nil
}

// maxKey is the size of a public key in bits: the cost of using one grows with its
// square.
const maxKey = 8192

// checkKey looks at a public key for passwords, if it is one: the driver takes every
// key for one of RSA.
func checkKey(p []byte) error {
	block, _ := pem.Decode(p)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if public, ok := key.(*rsa.PublicKey); err != nil || !ok || public.N.BitLen() > maxKey {
		return breach("its key for passwords is not one of RSA with at most %d bits", maxKey)
	}
	return nil
}

// checkERR looks whether the driver can read an error.
func checkERR(p []byte) error {
	if len(p) < 4 || p[3] == '#' && len(p) < 9 {
		return breach("half an error")
	}
	return nil
}

func checkEOF(p []byte, length int) error {
	if p[0] != isEOF || length != 5 {
		return breach("no end where one must be")
	}
	return nil
}

// integer reads a length-encoded integer and how many bytes it is; 0: it is none.
func integer(p []byte) (value uint64, n int) {
	if len(p) == 0 {
		return 0, 0
	}
	switch p[0] {
	case 0xfc:
		n = 3
	case 0xfd:
		n = 4
	case 0xfe:
		n = 9
	case isLocal, isERR:
		return 0, 0
	default:
		return uint64(p[0]), 1
	}
	if len(p) < n {
		return 0, 0
	}
	var whole [8]byte
	copy(whole[:], p[1:n])
	return binary.LittleEndian.Uint64(whole[:]), n
}

// asksFor tells whether a packet asks for an authentication.
func asksFor(p []byte, plugin string) bool {
	return p[0] == isEOF && bytes.HasPrefix(p[1:], append([]byte(plugin), 0))
}
