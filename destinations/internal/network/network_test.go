package network

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// endless is a connection that brings without end.
type endless struct{ net.Conn }

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

// around is a connection that has another within, as those of crypto/tls have.
type around struct{ net.Conn }

func (a around) NetConn() net.Conn { return a.Conn }

func TestAConnectionBringsSoMuchUntilItIsLentAnew(t *testing.T) {
	n := New(func(context.Context, string, string) (net.Conn, error) { return endless{}, nil })
	defer n.Close()
	c, err := n.Dial(t.Context(), "tcp", "far:1")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		brought, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		if !errors.Is(err, errSpent) || brought < Lease || brought > Lease+1<<20 {
			t.Errorf("%d bytes, %v", brought, err)
		}
		Lend(around{around{c}}) // as it lies within others
	}
	Lend(endless{}) // one of others is left alone
}

func TestAPanicOfTheNetworkIsAnError(t *testing.T) {
	n := New(func(context.Context, string, string) (net.Conn, error) { panic("boom") })
	defer n.Close()
	if _, err := n.Dial(t.Context(), "tcp", "far:1"); destination.PanicOf(err) == nil {
		t.Errorf("%v", err)
	}
}
