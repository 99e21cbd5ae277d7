package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
)

// PostgreSQL returns servers by what they do, within TLS if config is not nil.
func PostgreSQL(config *tls.Config) map[string]Script {
	started := func(f func(*postgres)) Script {
		return func(c net.Conn) {
			if p := startUp(c, config); p != nil {
				f(p)
			}
		}
	}
	// answers plays a session up to the client's first query, which f answers.
	answers := func(f func(*postgres)) Script {
		return started(func(p *postgres) {
			if p.ready() && p.sync() {
				f(p)
			}
		})
	}
	return map[string]Script{
		"nothing":           func(net.Conn) {},
		"silence":           func(c net.Conn) { hang(c) },
		"half a message":    started(func(p *postgres) { p.c.Write([]byte{'R', 0, 0}); hang(p.c) }),
		"a negative length": started(func(p *postgres) { p.c.Write([]byte{'R', 255, 255, 255, 255}); hang(p.c) }),
		"2 GB, announced":   started(func(p *postgres) { p.c.Write([]byte{'S', 127, 255, 255, 255}); forever(p.c, make([]byte, 64<<10)) }),
		"a dripping start":  started(func(p *postgres) { drip(p.c, bytes.Repeat(message('N', []byte("Mx\x00\x00")), 100)) }),
		"endless parameters": started(func(p *postgres) {
			for i := 0; p.write('S', fmt.Appendf(nil, "name%d\x00%s\x00", i, strings.Repeat("x", 1000))); i++ {
			}
		}),
		"endless parameters of a session": started(func(p *postgres) {
			p.ready()
			for i := 0; p.write('S', fmt.Appendf(nil, "name%d\x00%s\x00", i, strings.Repeat("x", 1000))); i++ {
			}
		}),
		"endless notices": started(func(p *postgres) {
			p.ready()
			forever(p.c, bytes.Repeat(message('N', []byte("SNOTICE\x00Mx\x00\x00")), 1000))
		}),
		"10,000,000 rounds of SCRAM": started(func(p *postgres) {
			p.write('R', append([]byte{0, 0, 0, 10}, "SCRAM-SHA-256\x00\x00"...))
			_, first, ok := p.read()
			_, nonce, found := strings.Cut(string(first), "r=")
			if !ok || !found {
				return
			}
			p.write('R', append([]byte{0, 0, 0, 11}, "r="+nonce+"more,s=c2FsdHNhbHQ=,i=10000000"...))
			hang(p.c)
		}),
		"a row without columns": answers(func(p *postgres) {
			p.write('1', nil)
			p.write('2', nil)
			p.write('T', []byte{0, 0})
			p.write('D', []byte{0, 0})
			p.end()
		}),
		"no row": answers(func(p *postgres) {
			p.write('1', nil)
			p.write('2', nil)
			p.write('T', description(1))
			p.end()
		}),
		"65,535 columns": answers(func(p *postgres) {
			p.write('1', nil)
			p.write('2', nil)
			p.write('T', description(65535))
			hang(p.c)
		}),
		"endless rows": answers(func(p *postgres) {
			p.write('1', nil)
			p.write('2', nil)
			p.write('T', description(1))
			forever(p.c, bytes.Repeat(message('D', append([]byte{0, 1, 0, 0, 0, 100}, make([]byte, 100)...)), 100))
		}),
		"an error of 64 MB":   answers(func(p *postgres) { p.c.Write([]byte{'E', 4, 0, 0, 0}); forever(p.c, bytes.Repeat([]byte("M"), 64<<10)) }),
		"a copy":              answers(func(p *postgres) { p.write('H', []byte{0, 0, 0}); forever(p.c, message('d', make([]byte, 64<<10))) }),
		"what does not exist": answers(func(p *postgres) { forever(p.c, message('?', make([]byte, 1000))) }),
		"missing tables, then a catalogue of one column": answers(func(p *postgres) {
			p.write('E', []byte("SERROR\x00VERROR\x00C42P01\x00Mno such table\x00\x00"))
			p.write('Z', []byte{'I'})
			if !p.sync() {
				return
			}
			p.write('1', nil)
			p.write('2', nil)
			p.write('T', description(1))
			for range 3 {
				p.write('D', []byte{0, 1, 0, 0, 0, 0})
			}
			p.end()
		}),
		"a flood, and nobody who reads": started(func(p *postgres) { p.ready(); forever(p.c, bytes.Repeat(message('N', []byte("Mx\x00\x00")), 1000)) }),
	}
}

// postgres is a session.
type postgres struct{ c net.Conn }

// startUp agrees on TLS and reads what the client begins with.
func startUp(c net.Conn, config *tls.Config) *postgres {
	p := &postgres{c}
	if config != nil {
		if _, err := io.ReadFull(c, make([]byte, 8)); err != nil {
			return nil
		}
		if _, err := c.Write([]byte{'S'}); err != nil {
			return nil
		}
		s := tls.Server(c, config)
		if s.Handshake() != nil {
			return nil
		}
		p.c = s
	}
	var length [4]byte
	if _, err := io.ReadFull(p.c, length[:]); err != nil {
		return nil
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 16 { // the wish to cancel another session's query
		return nil
	}
	if _, err := io.ReadFull(p.c, make([]byte, n-4)); err != nil {
		return nil
	}
	return p
}

func message(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

func (p *postgres) write(kind byte, body []byte) bool {
	_, err := p.c.Write(message(kind, body))
	return err == nil
}

func (p *postgres) read() (kind byte, body []byte, ok bool) {
	var h [5]byte
	if _, err := io.ReadFull(p.c, h[:]); err != nil {
		return 0, nil, false
	}
	body = make([]byte, binary.BigEndian.Uint32(h[1:])-4)
	_, err := io.ReadFull(p.c, body)
	return h[0], body, err == nil
}

// ready accepts every client.
func (p *postgres) ready() bool {
	return p.write('R', []byte{0, 0, 0, 0}) && p.write('K', make([]byte, 8)) && p.write('Z', []byte{'I'})
}

// sync reads until the client waits for an answer.
func (p *postgres) sync() bool {
	for {
		kind, _, ok := p.read()
		if !ok || kind == 'S' || kind == 'Q' {
			return ok
		}
	}
}

func (p *postgres) end() bool {
	return p.write('C', []byte("SELECT 0\x00")) && p.write('Z', []byte{'I'})
}

func description(columns int) []byte {
	d := binary.BigEndian.AppendUint16(nil, uint16(columns))
	for range columns {
		d = append(d, "x\x00"...)
		d = append(d, make([]byte, 18)...)
	}
	return d
}
