// Package sqltablestest is what the tests of kinds that write SQL tables share.
package sqltablestest

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Signature is in every link of a Store, as a secret.
const Signature = "signature-of-a-link"

// Store is a payload store in memory.
type Store struct {
	mu   sync.Mutex
	all  map[string][]byte // by id
	puts int
	n    int
	Down bool // set it between attempts only
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{all: map[string][]byte{}} }

// Put keeps a payload; what is there is left alone.
func (s *Store) Put(ctx context.Context, developer string, p event.Payload) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Down {
		return fmt.Errorf("put: %w", destination.ErrEngine)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	if s.all[p.ID] == nil {
		s.all[p.ID] = bytes.Clone(p.Body)
	}
	return nil
}

// Link returns a link, another one each time.
func (s *Store) Link(ctx context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	if s.Down {
		return destination.Link{}, fmt.Errorf("link: %w", destination.ErrEngine)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return destination.Link{URL: fmt.Sprintf("https://payloads.example/%s?n=%d&X-Signature=%s", id, s.n, Signature), Expires: time.Now().Add(ttl)}, nil
}

// Get follows a link.
func (s *Store) Get(tb testing.TB, link string) []byte {
	tb.Helper()
	id, _, _ := strings.Cut(strings.TrimPrefix(link, "https://payloads.example/"), "?")
	s.mu.Lock()
	defer s.mu.Unlock()
	body, ok := s.all[id]
	if !ok {
		tb.Errorf("the link %q leads to nothing", link)
	}
	return body
}

// Puts is how often Put was called.
func (s *Store) Puts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

// Deps is what the engine lends, with a network that is not guarded.
func Deps(store destination.PayloadStore) destination.Deps {
	return destination.Deps{
		Log: slog.New(slog.DiscardHandler), Dial: new(net.Dialer).DialContext, Brand: "terra", UserAgent: "Fantail/test",
		Payloads: store, Catalogue: event.DefaultCatalogue(),
	}
}

// Null is how Rows shows NULL.
const Null = "NULL"

// Row is a row by column.
type Row map[string]string

// Rows returns all rows of a table, by its order; of a table that does not exist
// none.
func Rows(tb testing.TB, db *sql.DB, table, order string) (all []Row) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // also when the test has ended
	defer cancel()
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+table+" ORDER BY "+order)
	if err != nil {
		tb.Fatalf("read %s: %v", table, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	for err == nil && rows.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		err = rows.Scan(into...)
		row := Row{}
		for i, v := range values {
			if row[names[i]] = Null; v.Valid {
				row[names[i]] = v.String
			}
		}
		all = append(all, row)
	}
	if err = errors.Join(err, rows.Err()); err != nil {
		tb.Fatalf("read %s: %v", table, err)
	}
	return all
}

// Bodies returns what the links of both tables of payloads lead to.
func Bodies(tb testing.TB, db *sql.DB, store *Store) (all [][]byte) {
	tb.Helper()
	for _, table := range []string{"terra_data_payloads", "terra_other_payloads"} {
		for _, row := range Rows(tb, db, table, "payload_id") {
			all = append(all, store.Get(tb, row["payload_url"]))
		}
	}
	return all
}

// Exec runs statements.
func Exec(tb testing.TB, db *sql.DB, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// BodiesOf are the bodies that an event becomes.
func BodiesOf(e *event.Event) (all [][]byte) {
	for p := range event.DefaultCatalogue().Payloads(e) {
		all = append(all, p.Body)
	}
	return all
}

// Handshake is what a check shows of one.
type Handshake struct {
	Ends time.Time // the server's certificate
	Err  error
}

// Handshakes checks d and returns what it tells the trace of the check.
func Handshakes(tb testing.TB, d destination.Checker) (all []Handshake, err error) {
	tb.Helper()
	ctx := httptrace.WithClientTrace(tb.Context(), &httptrace.ClientTrace{TLSHandshakeDone: func(s tls.ConnectionState, err error) {
		certificates := s.PeerCertificates
		if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			certificates = e.UnverifiedCertificates
		}
		if len(certificates) == 0 {
			tb.Fatalf("a handshake without a certificate: %v", err)
		}
		all = append(all, Handshake{certificates[0].NotAfter, err})
	}})
	err = d.Check(ctx)
	return all, err
}

// ShowsCertificate checks d as the engine does and holds what that says of
// certificates of test servers, which end within a day: says is what a delivery
// fails with, "" if it does not; plain tells that there is no TLS, own that the
// settings have a client certificate that is accepted.
func ShowsCertificate(tb testing.TB, d destination.Checker, says string, plain, own bool) {
	tb.Helper()
	shaken, err := Handshakes(tb, d)
	if plain != (len(shaken) == 0) {
		tb.Errorf("%d handshakes: %v", len(shaken), err)
	}
	if len(shaken) == 0 {
		return
	}
	left, refused := time.Until(shaken[0].Ends), strings.Contains(says, "certificate") || strings.Contains(says, "trust") || strings.Contains(says, "another name")
	if left < 23*time.Hour || left > 24*time.Hour || (shaken[0].Err != nil) != refused {
		tb.Errorf("%v left, %v", left, shaken[0].Err)
	}
	if remark, ok := errors.AsType[destination.Remark](err); ok != own || ok && !strings.Contains(string(remark), "tls.cert ends on") {
		tb.Errorf("the check: %v", err)
	}
}
