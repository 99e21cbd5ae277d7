package fault_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// own is an address of this machine.
var own = &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 40404}

func opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: own, Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}, Err: err}
}

type timeout struct{ error }

func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// guarded is an error with a text of its own, as the guard's are.
type guarded struct{ error }

func (guarded) Error() string   { return "connect to 192.0.2.1:443: i/o timeout" }
func (g guarded) Unwrap() error { return g.error }

func TestDescribe(t *testing.T) {
	reset := os.NewSyscallError("read", syscall.ECONNRESET)
	dns := &net.DNSError{Err: "no such host", Name: "acme.example", Server: "10.9.9.9:53"}
	for _, c := range []struct {
		err  error
		want string
	}{
		{io.EOF, "EOF"},
		{opError("read", reset), "read: connection reset by peer"},
		{fmt.Errorf("the far side closed: %w", opError("write", os.NewSyscallError("write", syscall.EPIPE))), "the far side closed: write: broken pipe"},
		{opError("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), "dial: connection refused"},
		{opError("remote error", errors.New("tls: bad certificate")), "remote error: tls: bad certificate"},
		{opError("read", timeout{io.EOF}), "no answer in time"},
		{os.ErrDeadlineExceeded, "no answer in time"},
		{opError("dial", dns), "dial: resolve acme.example: no such host"},
		{&url.Error{Op: "Post", URL: "https://acme.example/hook/hunter2", Err: opError("read", reset)}, "read: connection reset by peer"},
		{&url.Error{Op: "Post", URL: "https://acme.example/hook/hunter2", Err: dns}, "resolve acme.example: no such host"},
		{fmt.Errorf("tls: %w", x509.UnknownAuthorityError{}), "tls: x509: certificate signed by unknown authority"},
		{context.Canceled, "the attempt was cancelled"},
		{errors.Join(context.Canceled, opError("read", reset)), "the attempt was cancelled"},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "no answer in time"},
		{errors.Join(context.DeadlineExceeded, fmt.Errorf("x: %w", context.Canceled)), "no answer in time"},
		{errors.Join(io.EOF, io.EOF, reset), "EOF; connection reset by peer"},
		{guarded{opError("dial", timeout{io.EOF})}, "connect to 192.0.2.1:443: i/o timeout"},
		{errors.Join(context.DeadlineExceeded, fmt.Errorf("x: %w", &fault.Safe{Text: "took half"})), "took half"},
		{errors.Join(context.Canceled, &fault.Safe{Text: "took half"}), "the attempt was cancelled"},
	} {
		if got := fault.Describe(c.err); got != c.want {
			t.Errorf("%v is described as %q, want %q", c.err, got, c.want)
		}
	}
}

func TestErrorsAreWhatCausedThemAndHandNothingOut(t *testing.T) {
	s := secret.NewScrubber("hunter2")
	err := fault.Unanswered(t.Context(), "write rows", fmt.Errorf("no such token: hunter2\r\n: %w", destination.ErrEngine), s)
	if err.Error() != "write rows: no such token: [redacted]  : engine fault" || !errors.Is(err, destination.ErrEngine) || errors.Is(err, io.EOF) || errors.Unwrap(err) != nil {
		t.Errorf("%q", err)
	}
	err = fault.Unanswered(t.Context(), "write rows", errors.New(`Get "https://x.example/p?user=u": bad`), s)
	if err.Error() != `write rows: Get "[redacted]": bad` {
		t.Errorf("%q", err)
	}
	refused := destination.Misconfigure(errors.New("refused"))
	if got := fault.Unanswered(t.Context(), "write rows", fmt.Errorf("x: %w", refused), s); got != refused {
		t.Errorf("a fault became %v", got)
	}
	for cause, want := range map[error]string{context.Canceled: "the attempt was cancelled", context.DeadlineExceeded: "no answer in time"} {
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		if cause == context.Canceled {
			ctx, cancel = context.WithCancel(t.Context())
			cancel()
		}
		err := fault.Unanswered(ctx, "write rows", io.ErrUnexpectedEOF, s)
		if err.Error() != "write rows: "+want || !errors.Is(err, cause) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		cancel()
	}
}

func TestQuotesAreShortOnOneLineAndValid(t *testing.T) {
	s := secret.NewScrubber("ya29.X/abc")
	if got := fault.Quote(s, "a\r\n\x00\x7f\xffb ya29.X\\/abc"); got != "a    b [redacted]" {
		t.Errorf("%q", got)
	}
	if got := fault.Quote(s, strings.Repeat("\u00e4", 1000)); len(got) != 400 {
		t.Error(len(got))
	}
	if got := fault.Quote(s, strings.Repeat("x", 399)+"\u00e4"); len(got) != 399 {
		t.Error(len(got))
	}
}

// TestAPortOfAnotherProtocol holds: no retry makes it one of HTTP.
func TestAPortOfAnotherProtocol(t *testing.T) {
	err := fault.Unanswered(t.Context(), "write rows", fmt.Errorf("%w: garbage", exchange.ErrNotHTTP), secret.NewScrubber())
	if class, _ := destination.ClassOf(err); class != destination.Misconfigured || err.Error() != "write rows: what answers there does not speak HTTP: garbage. Mend the address or its port in the settings" {
		t.Errorf("%v: %v", class, err)
	}
}
