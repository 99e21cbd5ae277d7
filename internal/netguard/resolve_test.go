package netguard

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestInterleave(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"1.0.0.1", "1.0.0.1"},
		{"1.0.0.1 1.0.0.2 2a00::1", "1.0.0.1 2a00::1 1.0.0.2"},
		{"2a00::1 2a00::2 2a00::3 1.0.0.1", "2a00::1 1.0.0.1 2a00::2 2a00::3"},
	} {
		var in, want []netip.Addr
		for s := range strings.FieldsSeq(c.in) {
			in = append(in, netip.MustParseAddr(s))
		}
		for s := range strings.FieldsSeq(c.want) {
			want = append(want, netip.MustParseAddr(s))
		}
		if got := interleave(in); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", in, got, want)
		}
	}
}

func TestFamiliesTakeTurns(t *testing.T) {
	dns := newNames(t, map[string][]string{"site.example": {"8.8.8.8 8.8.4.4 2606:4700::1 2606:4700::2"}})
	got, err := newGuard(t, Config{Resolver: dns.resolver}).targets(t.Context(), "tcp", "site.example:443")
	if err != nil || len(got) != 4 {
		t.Fatal(got, err)
	}
	for i, a := range got[1:] {
		if a.Addr().Is4() == got[i].Addr().Is4() {
			t.Errorf("%v: a dead family would take two delays in a row", got)
		}
	}
}

func TestHostileNameServerIsBounded(t *testing.T) {
	var many strings.Builder
	for i := range 60 {
		fmt.Fprintf(&many, "8.8.8.%d ", i)
	}
	dns := newNames(t, map[string][]string{"many.example": {many.String()}})
	g := newGuard(t, Config{Resolver: dns.resolver})
	got, err := g.targets(t.Context(), "tcp", "many.example:443")
	if err != nil || len(got) != maxAddresses {
		t.Errorf("%d addresses to try, %v; want %d", len(got), err, maxAddresses)
	}
}

// TestRepeatedAddressIsTriedOnce: otherwise a name server could have one host connected to eight
// times at once.
func TestRepeatedAddressIsTriedOnce(t *testing.T) {
	dns := newNames(t, map[string][]string{"same.example": {"8.8.8.8 8.8.8.8 8.8.4.4 8.8.8.8 8.8.4.4"}})
	got, err := newGuard(t, Config{Resolver: dns.resolver}).targets(t.Context(), "tcp", "same.example:443")
	if err != nil || len(got) != 2 || got[0] == got[1] {
		t.Errorf("%v, %v; want each address once", got, err)
	}
}

// slowNames is a name server that lives in a bubble of synctest. It answers
// questions for AAAA after late, never when that is negative.
func slowNames(answers map[string][]string, late time.Duration) *names {
	n := &names{answers: answers}
	n.resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			for {
				var size [2]byte // DNS over a stream: RFC 1035, section 4.2.2
				if _, err := io.ReadFull(far, size[:]); err != nil {
					return
				}
				q := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(far, q); err != nil {
					return
				}
				a := n.answer(q)
				if _, typ, _ := question(q); typ == 28 {
					if late < 0 {
						continue
					}
					time.Sleep(late)
				}
				if _, err := far.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
					return
				}
			}
		}()
		return near, nil
	}}
	return n
}

// TestSlowAnswerForIPv6: without the second question a name server that drops
// AAAA costs every connection 10 s.
func TestSlowAnswerForIPv6(t *testing.T) {
	names := map[string][]string{
		"both.example":    {"8.8.8.8 2606:4700::1"},
		"refused.example": {"10.0.0.1 2606:4700::1"},
	}
	const never = -1
	// Package net makes some things at its first look-up: those must not belong to a bubble.
	newNames(t, nil).resolver.LookupNetIP(t.Context(), "ip", "first.example")
	for _, c := range []struct {
		host      string
		late      time.Duration
		want      string
		took      time.Duration
		questions int
	}{
		{"both.example", 0, "8.8.8.8:443 [2606:4700::1]:443", 0, 2},
		{"both.example", lookupDelay - time.Millisecond, "8.8.8.8:443 [2606:4700::1]:443", lookupDelay - time.Millisecond, 2},
		{"both.example", time.Minute, "8.8.8.8:443", lookupDelay, 3},
		{"both.example", never, "8.8.8.8:443", lookupDelay, 3},
		// A refused address must not hold the destination while another answer is on its way.
		{"refused.example", time.Second, "[2606:4700::1]:443", time.Second, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			defer time.Sleep(2 * time.Minute) // the resolver lets go of what it has given up after its own time-out
			dns := slowNames(names, c.late)
			g := newGuard(t, Config{Resolver: dns.resolver})
			begin := time.Now()
			got, err := g.targets(t.Context(), "tcp", c.host+":443")
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got, netip.AddrPort.Compare) // the resolver puts first what this machine reaches
			if fmt.Sprint(got) != "["+c.want+"]" {
				t.Errorf("%s, AAAA after %v: %v, want %v", c.host, c.late, got, c.want)
			}
			if took := time.Since(begin); took != c.took {
				t.Errorf("%s, AAAA after %v: took %v, want %v", c.host, c.late, took, c.took)
			}
			dns.mu.Lock()
			defer dns.mu.Unlock()
			if dns.asked != c.questions {
				t.Errorf("%s, AAAA after %v: %d questions, want %d", c.host, c.late, dns.asked, c.questions)
			}
		})
	}
}
