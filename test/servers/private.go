package servers

import (
	"testing"
)

// Private is a database server of one test, which may end it, start it again and
// connect to it with TLS. No environment variable replaces it.
type Private struct {
	DSN string // without TLS, as the superuser
	TLS TLS
	t   testing.TB
	p   *process
}

// PrivatePostgres starts a PostgreSQL for one test.
func PrivatePostgres(t testing.TB) *Private {
	t.Helper()
	s := startPrivate(t, startPostgres)
	s.DSN = postgresURL(s.DSN)
	return s
}

// PrivateMySQL starts a server of the family that StartMySQL does, for one test.
func PrivateMySQL(t testing.TB) *Private {
	t.Helper()
	s := startPrivate(t, startMySQL)
	s.DSN = mysqlDSN(s.DSN)
	return s
}

func startPrivate(t testing.TB, start func(port, *certificates) (*process, error)) *Private {
	t.Helper()
	certs, err := newCertificates()
	if err != nil {
		t.Fatal(err)
	}
	at, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.release) // held while the server is down
	p, err := start(at, certs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	p.showLog(t)
	return &Private{DSN: at.addr(), TLS: certs.TLS, t: t, p: p}
}

// Kill ends the server as a crash would: connections break, transactions are
// lost, and the next start recovers. Until then connections are refused.
func (s *Private) Kill() { s.p.signal(s.p.kill) }

// Stop ends the server in order, as for an upgrade.
func (s *Private) Stop() { s.p.signal(s.p.quit) }

// Start starts the ended server again, on the same port and data.
func (s *Private) Start() {
	s.t.Helper()
	if err := s.p.start(); err != nil {
		s.t.Fatal(err)
	}
}
