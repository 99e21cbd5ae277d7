package mysql

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql/driver"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// packet is one of a server, with its number.
func packet(number byte, payload string) string {
	n := len(payload)
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), number}) + payload
}

// greetingOf is a greeting of a server with capabilities and an authentication.
func greetingOf(capabilities uint32, plugin string) string {
	low, high := binary.LittleEndian.AppendUint16(nil, uint16(capabilities&0xffff)), binary.LittleEndian.AppendUint16(nil, uint16(capabilities>>16))
	return "\x0a8.4.0\x00" + "\x01\x00\x00\x00" + "12345678\x00" + string(low) + "\x2d\x02\x00" + string(high) + "\x15" +
		strings.Repeat("\x00", 6) + "\xff\xff\xff\xff" + "123456789012\x00" + plugin + "\x00"
}

const everything = 0xffffffff

const (
	simpleOK = "\x00\x00\x00\x02\x00\x00\x00"
	end      = "\xfe\x00\x00\x02\x00"
)

// script is a connection that reads what a server says and forgets what is written.
type script struct {
	net.Conn
	io.Reader
	wrote bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.wrote.Write(p) }
func (s *script) Close() error                { return nil }

// wireTo is past the greeting of a server that then says so.
func wireTo(t *testing.T, said string) (*wire, *script) {
	t.Helper()
	c := &script{Reader: strings.NewReader(packet(0, greetingOf(everything, "caching_sha2_password")) + said)}
	g, err := readGreeting(c)
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(c, c, g)
	if _, err := io.ReadFull(w, make([]byte, len(g.shown()))); err != nil {
		t.Fatal(err)
	}
	return w, c
}

// TestTheDriverIsToldOfTheLeast: no TLS, which it would start above, no files, no
// compression, no form of answers that is not followed.
func TestTheDriverIsToldOfTheLeast(t *testing.T) {
	g, err := readGreeting(strings.NewReader(packet(0, greetingOf(everything, sha256Password))))
	if err != nil {
		t.Fatal(err)
	}
	shown := g.shown()
	again, err := readGreeting(bytes.NewReader(shown))
	if err != nil || again.capabilities() != spoken || again.takesTLS() || !bytes.HasSuffix(shown, []byte("\x00caching_sha2_password\x00")) {
		t.Errorf("%#x of %#x, %q, %v", again.capabilities(), spoken, shown, err)
	}
	if at := again.payload[again.base+14:]; !bytes.HasPrefix(at, make([]byte, 4)) {
		t.Errorf("MariaDB's capabilities are %x", at[:4])
	}
	if request := g.requestTLS(); len(request) != 36 || request[3] != 1 || binary.LittleEndian.Uint32(request[4:]) != spoken|useTLS {
		t.Errorf("%x", request)
	}
	g, err = readGreeting(strings.NewReader(packet(0, "\xff\x10\x04#08004Too many connections")))
	if err != nil || !g.refusal || !bytes.HasSuffix(g.shown(), []byte("Too many connections")) {
		t.Errorf("a server that refuses: %+v, %v", g, err)
	}
}

// TestASaltThatEndsInAZeroIsKept: the driver takes a zero away from the end of it.
func TestASaltThatEndsInAZeroIsKept(t *testing.T) {
	salt := strings.Repeat("s", 31)
	for asked, shown := range map[string]string{
		"\xfeclient_ed25519\x00" + salt + "\x00":             "\xfeclient_ed25519\x00" + salt + "\x00\x00",
		"\xfeclient_ed25519\x00" + salt + "s":                "\xfeclient_ed25519\x00" + salt + "s",
		"\xfemysql_native_password\x00" + salt + "\x00":      "\xfemysql_native_password\x00" + salt + "\x00",
		"\xfeclient_ed25519\x00" + salt + "ss\x00":           "\xfeclient_ed25519\x00" + salt + "ss\x00",
		"\xfecaching_sha2_password\x00" + salt[:20] + "\x00": "\xfecaching_sha2_password\x00" + salt[:20] + "\x00",
	} {
		w, _ := wireTo(t, packet(2, asked)+packet(4, simpleOK))
		got, want := make([]byte, headerSize+len(shown)), packet(2, shown)
		if _, err := io.ReadFull(w, got); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", asked, got, err)
		}
		if _, err := io.ReadFull(w, got[:headerSize+len(simpleOK)]); err != nil {
			t.Errorf("after %q: %v", asked, err)
		}
	}
}

func TestWhatAGreetingMayNotBe(t *testing.T) {
	sound := greetingOf(everything, "x")
	for name, said := range map[string]string{
		"nothing":                    packet(0, ""),
		"5 bytes":                    packet(0, "\x0a8.0\x00"),
		"of protocol 9":              packet(0, "\x09"+sound[1:]),
		"without end":                packet(0, "\x0a"+strings.Repeat("8", 100)),
		"cut":                        packet(0, sound[:7+4+9+30]),
		"too long":                   packet(0, sound+strings.Repeat("x", maxHandshake)),
		"not the first":              packet(1, sound),
		"old":                        packet(0, greetingOf(everything&^pluginAuth, "x")),
		"half an error":              packet(0, "\xff\x10\x04"),
		"an error with half a state": packet(0, "\xff\x10\x04#080"),
	} {
		if g, err := readGreeting(strings.NewReader(said)); err == nil || !strings.Contains(err.Error(), "does not keep to the protocol") {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

func TestWhatAServerMayNotSay(t *testing.T) {
	salt := "\xfemysql_native_password\x00" + strings.Repeat("s", 20) + "\x00"
	one := packet(1, "\x01") + packet(2, "\x03def") + packet(3, end)
	for name, tt := range map[string]struct {
		command     byte // 0: none, it is authenticating
		said, wants string
	}{
		"":                            {0, packet(2, salt) + packet(4, "\x01\x04") + packet(6, simpleOK), ""},
		"half an OK":                  {0, packet(2, "\x00\xfe\x01"), "half an OK"},
		"an OK without status":        {0, packet(2, "\x00\x00\x00\x02"), "half an OK"},
		"half a salt":                 {0, packet(2, "\xfemysql_native_password\x00abc"), "half a packet"},
		"a salt without end":          {0, packet(2, "\xfemysql_native_password"), "half a packet"},
		"an end instead of salt":      {0, packet(2, "\xfe"), "half a packet"},
		"a key of another kind":       {0, packet(2, "\x01\x04") + packet(4, "\x01"+publicKey(t)), "not one of RSA"},
		"a row":                       {0, packet(2, "\x05hello"), "begins with 0x5"},
		"a large public key":          {0, packet(2, "\x01"+strings.Repeat("k", maxHandshake)), "a packet of 4097 bytes"},
		"authentication without end":  {0, strings.Repeat(packet(2, "\x01x"), 20), "its handshake has no end"},
		"unasked for":                 {0, packet(2, simpleOK) + packet(3, simpleOK), "after the end of its answer"},
		"an answer":                   {comQuery, packet(1, simpleOK), ""},
		"rows":                        {comQuery, one + packet(4, "\x01x") + packet(5, "\xfb") + packet(6, end), ""},
		"an error of rows":            {comExecute, one + packet(4, "\xff\x10\x04#HY000no"), ""},
		"2^40 columns":                {comQuery, packet(1, "\xfe"+string(binary.LittleEndian.AppendUint64(nil, 1<<40))), "a result of 1099511627776 columns"},
		"4097 columns":                {comQuery, packet(1, "\xfc\x01\x10"), "a result of 4097 columns"},
		"no columns":                  {comQuery, packet(1, "\xfc\x00\x00"), "a result of 0 columns"},
		"half a count":                {comQuery, packet(1, "\xfd\x01"), "a result of 0 columns"},
		"a count and more":            {comQuery, packet(1, "\x01\x01"), "a result of 1 columns"},
		"a file":                      {comQuery, packet(1, "\xfb/etc/passwd"), "a file of this machine"},
		"half an error":               {comQuery, packet(1, "\xff\x10"), "half an error"},
		"a large error":               {comQuery, packet(1, "\xff\x10\x04#HY000"+strings.Repeat("x", 5000)), "an error of 5009 bytes"},
		"an empty packet":             {comQuery, packet(1, ""), "a packet of 0 bytes"},
		"a large packet":              {comQuery, one + packet(4, strings.Repeat("x", maxPacket+1)), "a packet of 262145 bytes"},
		"columns without end":         {comQuery, packet(1, "\x01") + packet(2, "\x03def") + packet(3, "\x03def"), "no end where one must be"},
		"half an end":                 {comQuery, one + packet(4, "\xfe"), "no end where one must be"},
		"many rows":                   {comQuery, one + strings.Repeat(packet(4, "\x00"), maxAnswerRows+1), "a result of more than 10000 rows"},
		"large rows":                  {comQuery, one + strings.Repeat(packet(4, strings.Repeat("x", 100_000)), 11), "an answer of more than 1048576 bytes"},
		"another result":              {comQuery, packet(1, "\x00\x00\x00\x0a\x00\x00\x00") + packet(2, simpleOK), "after the end of its answer"},
		"a statement":                 {comPrepare, packet(1, "\x00\x01\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00") + packet(2, "p") + packet(3, "p") + packet(4, end) + packet(5, "c") + packet(6, end), ""},
		"a statement without columns": {comPrepare, packet(1, "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") + packet(2, "p"), "after the end of its answer"},
		"half a statement":            {comPrepare, packet(1, "\x00\x01\x00\x00\x00"), "half a prepared statement"},
		"rows of a ping":              {comPing, packet(1, "\x01"), "instead of a simple answer"},
		"an answer to a goodbye":      {comQuit, packet(1, simpleOK), "after the end of its answer"},
		"an answer to a long value":   {comSendLongData, packet(1, simpleOK), "after the end of its answer"},
	} {
		w, _ := wireTo(t, tt.said)
		if tt.command != 0 {
			w.answer.begin(tt.command)
		}
		got, err := io.ReadAll(w)
		if tt.wants == "" && (err != nil || string(got) != tt.said) || tt.wants != "" && (err == nil || !strings.Contains(err.Error(), tt.wants)) || !strings.HasPrefix(tt.said, string(got)) {
			t.Errorf("%s: %v, want %q; %d bytes of %d", name, err, tt.wants, len(got), len(tt.said))
		}
	}
}

// TestALeaseIsAnAccountOfItsOwn: a connection that lives for long may bring more.
func TestALeaseIsAnAccountOfItsOwn(t *testing.T) {
	one := packet(1, "\x01") + packet(2, "\x03def") + packet(3, end) + strings.Repeat(packet(4, strings.Repeat("x", 200_000)), 5) + packet(9, end)
	for _, renewed := range []bool{true, false} {
		w, _ := wireTo(t, strings.Repeat(one, 20))
		var err error
		for range 20 {
			if renewed {
				w.lease()
			}
			w.answer.begin(comQuery)
			if _, err = io.ReadFull(w, make([]byte, len(one))); err != nil {
				break
			}
		}
		if (err == nil) != renewed {
			t.Errorf("leased anew %v: %v", renewed, err)
		}
	}
}

// TestNumbersDifferByOneWithinTLS, of which the server had a packet, until the
// session begins; and the password goes to who asks for it.
func TestNumbersDifferByOneWithinTLS(t *testing.T) {
	w, c := wireTo(t, packet(3, "\xfesha256_password\x00"+strings.Repeat("s", 20)+"\x00")+packet(5, simpleOK)+packet(1, simpleOK))
	w.private("secret")
	write := func(p string) {
		t.Helper()
		c.wrote.Reset()
		before := p
		if n, err := w.Write([]byte(p)); err != nil || n != len(p) || p != before {
			t.Fatalf("%d, %v", n, err)
		}
	}
	read := func(number byte) {
		t.Helper()
		p := make([]byte, headerSize)
		if _, err := io.ReadFull(w, p); err != nil || p[3] != number {
			t.Fatalf("%v, %v", p, err)
		}
		if _, err := io.ReadFull(w, make([]byte, lengthOf(p))); err != nil {
			t.Fatal(err)
		}
	}
	write(packet(1, strings.Repeat("\x00", 40)))
	if got := c.wrote.Bytes(); got[3] != 2 || binary.LittleEndian.Uint32(got[4:])&useTLS == 0 {
		t.Errorf("the first packet is %x", got[:8])
	}
	read(2)
	write(packet(3, "\x01"))
	if got := c.wrote.String(); got != packet(4, "secret\x00") {
		t.Errorf("%q instead of the password", got)
	}
	read(4)
	write(packet(0, "\x03SELECT 1"))
	if got := c.wrote.String(); got != packet(0, "\x03SELECT 1") {
		t.Errorf("%q in the session", got)
	}
	read(1)
	w, c = wireTo(t, packet(2, "\xfesha256_password\x00"+strings.Repeat("s", 20)+"\x00"))
	read(2)
	if write(packet(3, "\x01")); strings.Contains(c.wrote.String(), "secret") || c.wrote.String() != packet(3, "\x01") {
		t.Errorf("without TLS: %q", c.wrote.String())
	}
}

// FuzzWire: whatever a server says, nothing panics and nothing comes from nowhere.
func FuzzWire(f *testing.F) {
	f.Add(byte(0), []byte(packet(2, simpleOK)))
	f.Add(byte(comQuery), []byte(packet(1, "\x01")+packet(2, "\x03def")+packet(3, end)+packet(4, end)))
	f.Add(byte(comPrepare), []byte(packet(1, "\x00\x01\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00")))
	f.Fuzz(func(t *testing.T, command byte, said []byte) {
		_, _ = readGreeting(bytes.NewReader(said))
		w, _ := wireTo(t, string(said))
		if command != 0 {
			w.answer.begin(command)
		}
		if got, _ := io.ReadAll(w); !bytes.HasPrefix(said, got) {
			t.Errorf("%q became %q", said, got)
		}
	})
}

// publicKey is one of ECDSA, where passwords want one of RSA.
func publicKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestAPanicOfTheDriverCostsNoConnection: the driver panics at half a column, which
// is nothing that the wire looks at, while others wait for the one connection; and
// it goes on for ever if there is nobody who ends its connection.
func TestAPanicOfTheDriverCostsNoConnection(t *testing.T) {
	f := newFar(t)
	var sound atomic.Bool
	deps := sqltablestest.Deps(f.store)
	dial := deps.Dial
	deps.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if sound.Load() {
			return dial(ctx, network, address)
		}
		said := packet(0, greetingOf(everything&^useTLS, "mysql_native_password")) + packet(2, simpleOK) + packet(1, simpleOK) + packet(1, simpleOK) +
			packet(1, "\x01") + packet(2, strings.Repeat("\x00", 6))
		return &script{Conn: nowhere{}, Reader: strings.NewReader(said)}, nil
	}
	c := f.conf
	c.MaxConnections = 1
	m := openWith(t, c, deps)
	defer m.Close()
	patience, cancel := context.WithTimeout(t.Context(), time.Minute) // a connection that is lost is waited for in vain
	defer cancel()
	_, err := m.Send(patience, plain(t, 1))
	before := runtime.NumGoroutine()
	for range 5 {
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				if _, err := m.Send(patience, plain(t, n)); destination.PanicOf(err) == nil {
					t.Errorf("%v is no panic: does the driver know half a column by now?", err)
				}
			})
		}
		all.Wait()
	}
	for limit := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("%d goroutines more than before, after %v", runtime.NumGoroutine()-before, err)
		}
	}
	sound.Store(true)
	if _, err := m.Send(patience, plain(t, 1)); err != nil {
		t.Error(err)
	}
}

// nowhere has the methods of a connection that a script lacks.
type nowhere struct{ net.Conn }

func (nowhere) SetDeadline(time.Time) error { return nil }

// TestABreachSaysWhatItIs: the driver says only that the connection broke.
func TestABreachSaysWhatItIs(t *testing.T) {
	w := &wire{err: breach("x")}
	if err := w.explain(driver.ErrBadConn); err == nil || !strings.Contains(err.Error(), "does not keep to the protocol: x") {
		t.Errorf("%v", err)
	}
	boom := destination.Guard(func() error { panic("x") })
	if err := w.explain(boom); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if err := w.explain(nil); err != nil {
		t.Errorf("%v", err)
	}
	w.err = fmt.Errorf("read: %w", io.EOF)
	if err := w.explain(driver.ErrBadConn); !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("%v", err)
	}
}
