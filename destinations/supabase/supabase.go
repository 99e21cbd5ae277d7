// Package supabase keeps events in a Supabase project: users and payloads as
// rows by way of PostgREST, the payloads themselves as objects of its storage.
package supabase

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var (
	_ destination.Destination = (*supabase)(nil)
	_ destination.Checker     = (*supabase)(nil)
	_ destination.Explainer   = (*supabase)(nil)
)

type supabase struct {
	service   service
	bucket    string
	tables    tables
	natural   bool
	item      bool
	catalogue *event.Catalogue
	completer *completion
	turns     turns  // of payloads with natural identities, and of checks
	role      string // the database's, as which the key acts
	probe     string // the key of the object of checks

	looked map[string]seen // by table and column; for whose turn it is
}

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	u, err := c.project()
	if err != nil {
		return nil, err
	}
	key := c.ServiceRoleKey.Reveal()
	s := &supabase{
		service: service{name: "the project", base: u, transport: deps.HTTP.Transport, scrub: secret.NewScrubber(c.ServiceRoleKey.Reveal()),
			// Supabase's own clients send keys of both kinds, JWTs and sb_secret_..., in both.
			header: http.Header{"Apikey": {key}, "Authorization": {"Bearer " + key}, "User-Agent": {deps.UserAgent}}},
		bucket: c.Bucket, tables: tablesOf(deps.Brand, c.Schema),
		natural: c.PayloadIdentity == identityNatural, item: c.Content == contentItem,
		catalogue: deps.Catalogue, role: roleOf(key), looked: map[string]seen{}, probe: sampleKey + "-" + rand.Text()[:8] + ".json", // two daemons may check at once
	}
	if s.bucket == "" {
		s.bucket = deps.Brand + "-payloads"
	}
	if s.catalogue == nil {
		s.catalogue = event.DefaultCatalogue()
	}
	if s.completer, err = s.completion(c.Complete, deps); err != nil {
		return nil, err
	}
	return s, nil
}

// Send makes one attempt: the row of the user, to which those of payloads refer,
// then each object and after it its row, so that no row leads to nothing.
func (s *supabase) Send(ctx context.Context, d destination.Delivery) (r destination.Receipt, err error) {
	defer func() {
		if err != nil {
			r.Answer = "" // the error quotes it and says what to do
		}
	}()
	users, err := usersOf(d.Event)
	if err != nil {
		return r, err
	}
	for _, u := range users {
		if r, err = s.writeUser(ctx, u); err != nil {
			return r, s.completed(ctx, s.tables.users, err)
		}
	}
	at := s.tables.misc
	if s.catalogue.IsData(d.Event.Type) {
		at = s.tables.data
	}
	if r, err = s.writePayloads(ctx, at, d); err != nil {
		return r, s.completed(ctx, at, err)
	}
	s.completer.succeeded()
	return r, nil
}

// Explain shows the rows that Send would write, one a line, and names the
// objects.
func (s *supabase) Explain(d destination.Delivery) (destination.Explanation, error) {
	users, err := usersOf(d.Event)
	if err != nil {
		return destination.Explanation{}, err
	}
	x := destination.Explanation{Target: s.String()}
	var body, keys strings.Builder
	line := func(t table, row any) {
		text, _ := json.Marshal(row) // texts always encode
		body.WriteString(t.bare() + " " + string(text) + "\n")
	}
	for _, u := range users {
		line(s.tables.users, rowOf(u))
	}
	n := 0
	for p := range s.items(d.Event) {
		line(p.table, p.row)
		keys.WriteString(p.object + " ")
		if n++; n == sqltables.MaxExplained {
			body.WriteString("...\n")
			break
		}
	}
	x.Key, x.Body = strings.TrimSpace(keys.String()), body.String()
	return x, nil
}

// String says which project it is; together with GoString it keeps credentials
// out of every print.
func (s *supabase) String() string {
	return "Supabase project " + s.service.base.Host + ", schema " + s.tables.schema + ", bucket " + s.bucket
}
func (s *supabase) GoString() string { return s.String() }

// Close has nothing to do: the connections are the engine's, but for those that
// complete the tables, which end with it.
func (s *supabase) Close() error { return nil }
