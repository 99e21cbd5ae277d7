package netguard

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// names is a name server: lower-case names without the last dot and their
// answers, one list per look-up in turn; the last list stays.
type names struct {
	resolver *net.Resolver

	mu      sync.Mutex
	answers map[string][]string // each a list of addresses divided by spaces; "fail" is SERVFAIL, "silence" no answer
	asked   int
}

func newNames(t testing.TB, answers map[string][]string) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{answers: answers}
	n.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			k, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if a := n.answer(b[:k]); a != nil {
				conn.WriteTo(a, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return n
}

// question reads what q asks (RFC 1035, section 4.1.2).
func question(q []byte) (name string, typ uint16, raw []byte) {
	var labels []string
	i := 12
	for q[i] != 0 {
		labels = append(labels, strings.ToLower(string(q[i+1:i+1+int(q[i])])))
		i += 1 + int(q[i])
	}
	return strings.Join(labels, "."), binary.BigEndian.Uint16(q[i+1:]), q[12 : i+5]
}

// answer serves A and AAAA, nothing else (RFC 1035, section 4).
func (n *names) answer(q []byte) []byte {
	name, typ, question := question(q)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	lists, known := n.answers[name]
	head := []byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}
	if !known {
		head[3] |= 3 // NXDOMAIN
		return append(head, question...)
	}
	if lists[0] == "silence" {
		return nil
	}
	if lists[0] == "fail" {
		head[3] |= 2
		return append(head, question...)
	}
	var records []byte
	for s := range strings.FieldsSeq(lists[0]) {
		a := netip.MustParseAddr(s)
		data := a.AsSlice()
		if a.Is4() != (typ == 1) || typ != 1 && typ != 28 {
			continue
		}
		head[7]++
		records = append(records, 0xc0, 12, 0, byte(typ), 0, 1, 0, 0, 0, 0, 0, byte(len(data)))
		records = append(records, data...)
	}
	if typ == 1 && len(lists) > 1 { // a look-up asks for each type once
		n.answers[name] = lists[1:]
	}
	return append(append(head, question...), records...)
}

// listen serves every connection to address with serve, and counts them.
func listen(t testing.TB, address string, serve func(net.Conn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().(*net.TCPAddr).AddrPort()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.from = append(s.from, c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
			s.mu.Unlock()
			all.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return s
}

type server struct {
	addr netip.AddrPort

	mu   sync.Mutex
	from []netip.Addr // who connected
}

func (s *server) peers() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]netip.Addr(nil), s.from...)
}

// greet says name and waits for the other side to hang up.
func greet(name string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, name)
		io.Copy(io.Discard, c)
	}
}

// greeting reads what greet says.
func greeting(t testing.TB, c net.Conn, name string) {
	t.Helper()
	b := make([]byte, len(name))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != name {
		t.Errorf("the far side says %q, %v; want %q", b, err, name)
	}
}
