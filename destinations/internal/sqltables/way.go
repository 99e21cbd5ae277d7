package sqltables

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// NoTLS is what to say of a server that takes no TLS though it should.
const NoTLS = "the server takes no TLS: turn it on there, or set tls.mode to disable, which lets everybody on the way read along"

// Untrusted words what keeps TLS from ever working with these settings.
func Untrusted(err error) string {
	const set = ": set tls.ca to what signed the server's certificate, or tls.server_name to the name in it"
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is signed by nobody we trust" + set
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the server's certificate is for another name" + set
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate is not valid" + set
	}
	return ""
}

// Describe words what went wrong on the way, without this machine's addresses
// and without secrets.
func Describe(err error, secrets ...secret.Value) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the attempt was cancelled"
	}
	var last string
	for _, e := range leaves(err) {
		text := e.Error()
		if op, ok := errors.AsType[*net.OpError](e); ok {
			text = op.Op + ": " + op.Err.Error()
			if inner, ok := errors.AsType[*os.SyscallError](op.Err); ok {
				text = op.Op + ": " + inner.Err.Error()
			}
		}
		if !strings.Contains(last, text) {
			last = strings.TrimPrefix(last+"; "+text, "; ")
		}
	}
	return Quote(last, secrets...)
}

// leaves returns the errors at the ends of a tree; a net.OpError, which knows
// what was done, counts as one.
func leaves(err error) []error {
	if _, ok := err.(*net.OpError); ok { //nolint:errorlint // this very error, not one below
		return []error{err}
	}
	switch e := err.(type) { //nolint:errorlint // the same
	case interface{ Unwrap() []error }:
		var all []error
		for _, one := range e.Unwrap() {
			all = append(all, leaves(one)...)
		}
		return all
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return leaves(inner)
		}
	}
	return []error{err}
}
