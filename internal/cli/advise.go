package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// advise returns the text of err, and what a person can do about it where there is something.
func (e *env) advise(err error) string {
	if refused, ok := errors.AsType[*client.Error](err); ok {
		// Further lines, such as the faults of a reload, are indented: nothing
		// that the daemon passes on can look like a line of our own.
		return strings.ReplaceAll(err.Error(), "\n", "\n  ") + e.remedy(refused)
	}
	u, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err.Error()
	}
	// Neither the method nor the whole URL helps the reader.
	text := fmt.Sprintf("cannot reach the daemon at %s: %v", e.address(), u.Err)
	dns := new(net.DNSError)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return text + "\nIs the daemon running? Start it with \"fantail serve --config fantail.yaml\", or say where it is with --server."
	case errors.As(err, &dns):
		return text + "\nIs the name in --server (or FANTAIL_SERVER) right?"
	case untrusted(err):
		return text + "\nThis machine does not trust the daemon's certificate: install its CA, or name it in SSL_CERT_FILE."
	case strings.Contains(u.Err.Error(), "server gave HTTP response to HTTPS client"):
		return text + "\nThe daemon speaks plain HTTP there: use http:// in --server."
	case errors.Is(err, context.DeadlineExceeded) || u.Timeout():
		return text + "\nIt did not answer in time."
	}
	return text
}

func untrusted(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	return verify || authority
}

func (e *env) remedy(refused *client.Error) string {
	switch {
	case refused.Status == http.StatusUnauthorized && e.token == "" && e.tokenFile == "" && e.lookup("FANTAIL_TOKEN") == "" && e.lookup("FANTAIL_TOKEN_FILE") == "":
		return "\nThe daemon wants a token: give one with --token-file, FANTAIL_TOKEN_FILE or FANTAIL_TOKEN."
	case refused.Status == http.StatusUnauthorized:
		return "\nThe daemon does not know this token: see \"tokens\" in its fantail.yaml."
	case refused.Status == http.StatusForbidden:
		return "\nThis token may not do that: see \"may\" and \"developers\" of \"tokens\" in the daemon's fantail.yaml."
	case refused.Temporary() && refused.RetryAfter > 0:
		return fmt.Sprintf("\nThe daemon asks to try again in %s.", span(refused.RetryAfter))
	case refused.Status == http.StatusBadRequest && strings.Contains(refused.Message, "HTTP request to an HTTPS server"):
		return "\nUse https:// in --server."
	}
	return ""
}
