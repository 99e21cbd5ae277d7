package supabase

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// BenchmarkSend writes a known user, an object and its row for each delivery, 16
// attempts at a time. Beside it a bare net/http makes the same three requests,
// whose bodies it need not work out of an event. The CPU is that of this process,
// in which the stand-ins for PostgREST and storage run, too, on both sides.
func BenchmarkSend(b *testing.B) {
	p := settled(b)
	p.DB.SetMaxIdleConns(sqltablestest.InFlight) // PostgREST has a pool, too: to log in costs more than all the rest
	p.Exec(b, `INSERT INTO terra_users (user_id, created_at, provider) SELECT '40f7b0e1-89e2-43ac-a5b8-1e29c8d4' || lpad(n::text, 4, '0'), '2020-01-01', 'GARMIN' FROM generate_series(0, 999) n`)
	transport := &http.Transport{MaxIdleConnsPerHost: sqltablestest.InFlight}
	b.Cleanup(transport.CloseIdleConnections)
	s := openWith(b, settings(p), destination.Deps{HTTP: &http.Client{Transport: transport}, Brand: "terra", UserAgent: "Fantail/test"})
	next := sqltablestest.Deliveries(b)
	for round := range 2 { // each after the other
		b.Run(fmt.Sprintf("supabase %d", round), func(b *testing.B) {
			before := p.Requests()
			sqltablestest.Measure(b, 1, func(int, int) error {
				_, err := s.Send(b.Context(), next())
				return err
			})
			if n, want := p.Requests()-before, 3*(b.N+64); n != want { // with those before the clock runs
				b.Errorf("%d requests of %d deliveries", n, want/3)
			}
		})
		b.Run(fmt.Sprintf("bare net/http %d", round), func(b *testing.B) {
			sqltablestest.Measure(b, 1, func(int, int) error { return bare(b, p, transport, next()) })
		})
	}
}

// bare makes the requests that Send makes of d.
func bare(b *testing.B, p *project.Project, transport *http.Transport, d destination.Delivery) error {
	e := d.Event
	id, at := e.ID.String(), e.Ordering.Format("2006-01-02T15:04:05.000000Z")
	mark := at + " " + id
	change := url.Values{"user_id": {"eq." + e.UserID}, "select": {"user_id"}}
	for _, column := range []string{"updated_at", "reference_id_at", "granted_scopes_at", "provider_at"} {
		change.Add("or", fmt.Sprintf(`(%s.is.null,%[1]s.lt."%s")`, column, mark))
	}
	for _, q := range []struct {
		method, path, header, value string
		body                        []byte
	}{
		{"PATCH", "/rest/v1/terra_users?" + change.Encode(), "Prefer", "return=representation",
			fmt.Appendf(nil, `{"granted_scopes":"A,B","granted_scopes_at":%q,"provider":"GARMIN","provider_at":%[1]q,"reference_id":"r","reference_id_at":%[1]q,"updated_at":%[1]q}`, mark)},
		{"POST", "/storage/v1/object/terra-payloads/daily/" + id + ".json", "X-Upsert", "true", e.Body},
		{"POST", "/rest/v1/terra_data_payloads?on_conflict=payload_id&select=payload_id", "Prefer", "resolution=ignore-duplicates,return=representation",
			fmt.Appendf(nil, `[{"created_at":%q,"data_type":"daily","end_time":"2026-07-02T00:00:00Z","payload_id":%q,"start_time":"2026-07-01T00:00:00Z","user_id":%q}]`, at, id, e.UserID)},
	} {
		r, err := http.NewRequestWithContext(b.Context(), q.method, p.URL+q.path, bytes.NewReader(q.body))
		if err != nil {
			return err
		}
		r.Header = http.Header{"Apikey": {p.Key}, "Authorization": {"Bearer " + p.Key}, "Content-Type": {"application/json"}, q.header: {q.value}}
		if strings.HasPrefix(q.path, "/rest") {
			r.Header["Accept"], r.Header["Accept-Profile"], r.Header["Content-Profile"] = []string{"application/json"}, []string{"public"}, []string{"public"}
		}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode > 299 || len(body) < 3 {
			return fmt.Errorf("%s %s: %d %s %w", q.method, q.path, answer.StatusCode, body, err)
		}
	}
	return nil
}
