package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
)

// MySQL returns servers by what they do, within TLS if config is not nil.
func MySQL(config *tls.Config) map[string]Script {
	connected := func(f func(*mysql)) Script {
		return func(c net.Conn) {
			if m := greet(c, config); m != nil {
				f(m)
			}
		}
	}
	// answers plays a session up to the client's first command of its own, which f answers.
	answers := func(f func(*mysql)) Script {
		return connected(func(m *mysql) {
			m.write(okPacket)
			m.session(f)
		})
	}
	return map[string]Script{
		"half a greeting":     func(c net.Conn) { c.Write([]byte{5, 0, 0, 0, 10, '8', '.', '0', 0}); hang(c) },
		"nothing":             func(c net.Conn) {},
		"silence":             func(c net.Conn) { hang(c) },
		"a dripping greeting": func(c net.Conn) { drip(c, append([]byte{byte(len(greeting())), 0, 0, 0}, greeting()...)) },
		"an endless greeting": func(c net.Conn) { c.Write([]byte{255, 255, 255, 0}); forever(c, bytes.Repeat([]byte{10}, 64<<10)) },
		"half an error":       func(c net.Conn) { c.Write([]byte{3, 0, 0, 0, 0xff, 1, 1}); hang(c) },
		"endless authenticating": connected(func(m *mysql) {
			for m.write(append([]byte{1}, make([]byte, 2000)...)) {
			}
		}),
		"half a salt": connected(func(m *mysql) { m.write([]byte("\xfemysql_native_password\x00abc\x00")); hang(m.c) }),
		"half an OK":  connected(func(m *mysql) { m.write([]byte{0, 0xfe}); hang(m.c) }),
		"a public key of 16 MB": connected(func(m *mysql) {
			m.c.Write([]byte{255, 255, 255, m.next()})
			forever(m.c, bytes.Repeat([]byte("A"), 64<<10))
		}),
		"2^40 columns": answers(func(m *mysql) {
			m.write(binary.LittleEndian.AppendUint64([]byte{0xfe}, 1<<40))
			hang(m.c)
		}),
		"half a count of columns": answers(func(m *mysql) { m.write([]byte{0xfd, 1}); hang(m.c) }),
		"half a column":           answers(func(m *mysql) { m.write([]byte{1}); m.write([]byte{3, 'd', 'e', 'f'}); hang(m.c) }),
		"endless columns": answers(func(m *mysql) {
			m.write([]byte{0xfc, 0, 16})
			for m.write(column(strings.Repeat("x", 200_000))) {
			}
		}),
		"endless rows": answers(func(m *mysql) {
			m.result(2)
			for m.write(text("terra_users", strings.Repeat("x", 1000))) {
			}
		}),
		"endless small rows": answers(func(m *mysql) {
			m.result(2)
			many := bytes.Repeat([]byte{2, 0, 0, 0, 0, 0}, 4096) // numbers are not looked at by everybody
			forever(m.c, many)
		}),
		"a row of 16 MB": answers(func(m *mysql) {
			m.result(2)
			m.c.Write([]byte{254, 255, 255, m.next()})
			forever(m.c, make([]byte, 64<<10))
		}),
		"half a row":  answers(func(m *mysql) { m.result(2); m.write([]byte{0xfd, 255}); hang(m.c) }),
		"half an end": answers(func(m *mysql) { m.result(2); m.write([]byte{0xfe}); hang(m.c) }),
		"an error of 16 MB": answers(func(m *mysql) {
			m.c.Write([]byte{254, 255, 255, m.next()})
			m.c.Write([]byte{0xff, 1, 1})
			forever(m.c, make([]byte, 64<<10))
		}),
		"a file, please":  answers(func(m *mysql) { m.write([]byte("\xfb/etc/passwd")); hang(m.c) }),
		"an empty packet": answers(func(m *mysql) { m.c.Write([]byte{0, 0, 0, 1}); hang(m.c) }),
		"results without end": answers(func(m *mysql) {
			more := []byte{0, 0, 0, 10, 0, 0, 0} // with the flag that there is more
			for m.write(more) {
			}
		}),
		"a dripping answer": answers(func(m *mysql) { drip(m.c, bytes.Repeat([]byte{1, 0, 0, 1, 2}, 100)) }),
	}
}

// mysql is a session.
type mysql struct {
	c      net.Conn
	number byte // of the next packet
}

var okPacket = []byte{0, 0, 0, 2, 0, 0, 0}

func greeting() []byte {
	g := append([]byte{10}, "8.4.0-hostile\x00"...)
	g = append(g, 1, 0, 0, 0)
	g = append(g, "12345678\x00"...)
	g = append(g, 0xff, 0xff, 45, 2, 0, 0xff, 0xdf, 21)
	g = append(g, make([]byte, 10)...)
	g = append(g, "123456789012\x00"...)
	return append(g, "caching_sha2_password\x00"...)
}

// greet greets and reads the answer; nil: there was none.
func greet(c net.Conn, config *tls.Config) *mysql {
	m := &mysql{c: c}
	if !m.write(greeting()) {
		return nil
	}
	if config != nil {
		if _, ok := m.read(); !ok {
			return nil
		}
		s := tls.Server(c, config)
		if s.Handshake() != nil {
			return nil
		}
		m.c = s
	}
	if _, ok := m.read(); !ok {
		return nil
	}
	return m
}

// session answers the commands that every driver begins with, and leaves the first other one to f.
func (m *mysql) session(f func(*mysql)) {
	for {
		command, ok := m.read()
		switch text := string(command); {
		case !ok:
			return
		case strings.Contains(text, "SET "):
			m.write(okPacket)
		case strings.Contains(text, "TRANSACTION"):
			m.write(okPacket)
		default:
			f(m)
			return
		}
	}
}

func (m *mysql) next() byte { m.number++; return m.number - 1 }

func (m *mysql) write(p []byte) bool {
	n := len(p)
	_, err := m.c.Write(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), m.next()}, p...))
	return err == nil
}

func (m *mysql) read() ([]byte, bool) {
	var h [4]byte
	if _, err := io.ReadFull(m.c, h[:]); err != nil {
		return nil, false
	}
	p := make([]byte, int(h[0])|int(h[1])<<8|int(h[2])<<16)
	_, err := io.ReadFull(m.c, p)
	m.number = h[3] + 1
	return p, err == nil
}

// result begins a result with n columns of text.
func (m *mysql) result(n byte) {
	m.write([]byte{n})
	for range n {
		m.write(column("x"))
	}
	m.write([]byte{0xfe, 0, 0, 2, 0})
}

func column(name string) []byte {
	p := text("def", "", "", "", name, "")
	return append(p, 12, 45, 0, 255, 255, 0, 0, 253, 0, 0, 0, 0, 0)
}

// text is length-encoded texts.
func text(all ...string) (p []byte) {
	for _, s := range all {
		if n := len(s); n < 251 {
			p = append(p, byte(n))
		} else {
			p = append(p, 0xfd, byte(n), byte(n>>8), byte(n>>16))
		}
		p = append(p, s...)
	}
	return p
}
