package farside

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
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
