package mysql

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Capabilities of a connection, by MySQL's names without CLIENT_.
const (
	longPassword   = 1 << 0 // MariaDB calls it CLIENT_MYSQL, and leaves it out
	longFlag       = 1 << 2
	connectWithDB  = 1 << 3
	protocol41     = 1 << 9
	useTLS         = 1 << 11
	transactions   = 1 << 13
	secureConn     = 1 << 15
	pluginAuth     = 1 << 19
	connectAttrs   = 1 << 20
	lengthAuthData = 1 << 21

	// spoken is what the driver is told of. The rest has no use here: compression,
	// files of this machine (LOCAL INFILE), several statements or results in one,
	// and a shorter form of results. With fewer forms, answers are simple to follow.
	spoken = longPassword | longFlag | connectWithDB | protocol41 | transactions | secureConn | pluginAuth | connectAttrs | lengthAuthData
)

// headerSize is that of a packet: 3 bytes of length and one of sequence.
const headerSize = 4

// greeting is the first packet of a server: the initial handshake of protocol 10,
// or an error instead.
type greeting struct {
	payload []byte
	refusal bool
	base    int // where the capabilities are in payload
}

// sha256Password is a plugin that the driver knows, but not that it could send the
// password in the clear.
const sha256Password = "sha256_password"

// readGreeting reads from a connection without TLS, and not a byte more: what comes
// before TLS begins must not be taken for what comes within.
func readGreeting(from io.Reader) (*greeting, error) {
	var header [headerSize]byte
	switch n, err := io.ReadFull(from, header[:]); {
	case n == 0:
		return nil, &silence{err}
	case err != nil:
		return nil, err
	}
	if is := stranger(header); is != "" {
		return nil, destination.Misconfigure(fmt.Errorf("what answers there is %s and neither MySQL nor MariaDB: set host and port", is))
	}
	n := lengthOf(header[:])
	if n == 0 || n > maxHandshake || header[3] != 0 {
		return nil, breach("its greeting is a packet of %d bytes with number %d", n, header[3])
	}
	g := &greeting{payload: make([]byte, n)}
	if _, err := io.ReadFull(from, g.payload); err != nil {
		return nil, err
	}
	if g.payload[0] == isERR {
		g.refusal = true
		return g, checkERR(g.payload)
	}
	end := bytes.IndexByte(g.payload, 0)
	if g.payload[0] != 10 || end < 0 {
		return nil, breach("its greeting is not that of MySQL or MariaDB")
	}
	g.base = end + 1 + 4 + 8 + 1 // the zero, the connection's number, half of the salt, a zero
	// Then two bytes of capabilities, one of charset, two of status, two of
	// capabilities, one of length, 6 of zeros, 4 of MariaDB's capabilities, 13 of
	// salt: the driver reads so far unasked.
	if len(g.payload) < g.base+31 {
		return nil, breach("its greeting ends early")
	}
	if g.capabilities()&(protocol41|secureConn|pluginAuth) != protocol41|secureConn|pluginAuth {
		return nil, breach("it is older than MySQL 8 and MariaDB 10")
	}
	return g, nil
}

// stranger names who greets so, "" if nobody does that we know.
func stranger(header [headerSize]byte) string {
	switch string(header[:]) {
	case "HTTP":
		return "a web server"
	case "SSH-":
		return "an SSH server"
	case "-ERR", "-NOA", "-DEN":
		return "Redis"
	case "220 ", "220-":
		return "a mail or file server"
	}
	return ""
}

// silence is the error of a server that says nothing: MySQL's and MariaDB's are
// the first to speak, PostgreSQL's and others wait for the client.
type silence struct{ error }

func (s *silence) Unwrap() error { return s.error }

func (g *greeting) capabilities() uint32 {
	return uint32(binary.LittleEndian.Uint16(g.payload[g.base:])) | uint32(binary.LittleEndian.Uint16(g.payload[g.base+5:]))<<16
}

func (g *greeting) takesTLS() bool { return g.capabilities()&useTLS != 0 }

// requestTLS is the packet that has the server begin TLS: what the driver's answer
// to the greeting will begin with, and the wish.
func (g *greeting) requestTLS() []byte {
	p := make([]byte, headerSize+32)
	p[0], p[3] = 32, 1
	binary.LittleEndian.PutUint32(p[headerSize:], g.capabilities()&spoken|useTLS)
	p[headerSize+8] = 45 // utf8mb4_general_ci, as the driver has it
	return p
}

// shown is the packet as the driver gets to see it.
func (g *greeting) shown() []byte {
	payload := slices.Clone(g.payload)
	if !g.refusal {
		caps := g.capabilities() & spoken
		binary.LittleEndian.PutUint16(payload[g.base:], uint16(caps&0xffff))
		binary.LittleEndian.PutUint16(payload[g.base+5:], uint16(caps>>16))
		clear(payload[g.base+14 : g.base+18]) // MariaDB's
		// A server that begins with it is asked again, so that there is one place
		// where it is answered: see answerInClear.
		if name := payload[g.base+31:]; bytes.HasPrefix(name, []byte(sha256Password+"\x00")) {
			payload = append(payload[:g.base+31], "caching_sha2_password\x00"...)
		}
	}
	return append([]byte{byte(len(payload)), byte(len(payload) >> 8), byte(len(payload) >> 16), 0}, payload...)
}
