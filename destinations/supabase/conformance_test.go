package supabase

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/test/servers"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

func TestConformance(t *testing.T) {
	dsn := servers.StartPostgres(t).DSN
	destinationtest.Run(t, destinationtest.Kind{
		Start: func(tb testing.TB) destinationtest.FarSide {
			p := project.On(tb, dsn)
			p.Exec(tb, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO service_role")
			settle(tb, p)
			return &far{p}
		},
		Secrets: []string{project.ServiceKey},
		Failures: []destinationtest.Failure{
			{Name: "rights revoked", Class: destination.Misconfigured},
			{Name: "no right to the schema", Class: destination.Misconfigured},
			{Name: "a column missing", Class: destination.Misconfigured},
			{Name: "no bucket", Class: destination.Misconfigured},
			{Name: "another key", Class: destination.Misconfigured},
			{Name: "bad gateway"},
			{Name: "a page instead of an answer"},
			{Name: "too many requests", Class: destination.Throttled, Wait: 7 * time.Second},
			{Name: "too large", Class: destination.Rejected},
			{Name: "raises 22001", Class: destination.Misconfigured},
			{Name: "raises 23503"},
			{Name: "raises 40001"},
			{Name: "raises P0001"},
		},
		Repeat: func(_ testing.TB, x destinationtest.FarSide, as func(...string) string) {
			x.(*far).p.Fault(func(w http.ResponseWriter, r *http.Request) bool {
				_, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				body, _ := json.Marshal(map[string]string{"message": as(key)})
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = w.Write(body)
				return true
			})
		},
		Stores: sqltablestest.BodiesOf,
		Poison: func(tb testing.TB) (destination.Delivery, destination.Class) {
			return destinationtest.Delivery(tb, 1001, []byte(`{"type":"auth","user":{"user_id":"a\u0000b"}}`)), destination.Rejected
		},
		Connections: 1,
		Checks:      true, Explains: true,
	})
}

type far struct{ p *project.Project }

// Open implements destinationtest.FarSide.
func (f *far) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	return openWith(tb, settings(f.p), deps)
}

// Stored implements destinationtest.FarSide.
func (f *far) Stored(tb testing.TB) [][]byte {
	all := f.p.Objects("terra-payloads")
	if all == nil {
		return nil
	}
	return bodies(tb, f.p)
}

// Break implements destinationtest.FarSide.
func (f *far) Break(tb testing.TB, failure destinationtest.Failure) {
	answer := func(status int, header, body string) {
		f.p.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Content-Type", header)
			w.WriteHeader(status)
			fmt.Fprintf(w, body, r.Header.Get("Authorization"))
			return true
		})
	}
	switch failure.Name {
	case "rights revoked":
		f.p.Exec(tb, "REVOKE ALL ON terra_users, terra_data_payloads, terra_misc_payloads FROM service_role")
	case "no right to the schema":
		f.p.Exec(tb, "REVOKE ALL ON SCHEMA public FROM service_role, PUBLIC")
	case "a column missing":
		f.p.Exec(tb, "ALTER TABLE terra_users RENAME COLUMN state_at TO gone")
		f.p.Reload(tb)
	case "no bucket":
		f.p.RenameBucket("terra-payloads", "gone")
	case "another key":
		f.p.Revoke(f.p.Key)
	case "bad gateway":
		f.p.Fault(project.BadGateway)
	case "a page instead of an answer":
		answer(http.StatusOK, "text/html", "<html>%s</html>")
	case "too many requests":
		answer(http.StatusTooManyRequests, "application/json", `{"message":"slow down, %s"}`)
	case "too large":
		f.p.Restrict("terra-payloads", false, 1)
	default:
		code := failure.Name[len("raises "):]
		f.p.Exec(tb, fmt.Sprintf(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RAISE EXCEPTION USING ERRCODE = '%s', MESSAGE = 'no: %s' || repeat(' sorry', 300), DETAIL = '%s'; END $$`, code, project.ServiceKey, project.ServiceKey),
			"CREATE TRIGGER refuse BEFORE INSERT ON terra_misc_payloads FOR EACH ROW EXECUTE FUNCTION refuse()")
	}
}

// Mend implements destinationtest.FarSide.
func (f *far) Mend(tb testing.TB) {
	f.p.Fault(nil)
	f.p.Accept(f.p.Key)
	f.p.RenameBucket("gone", "terra-payloads")
	f.p.Restrict("terra-payloads", false, 0)
	f.p.Exec(tb, "DROP FUNCTION IF EXISTS refuse() CASCADE", "GRANT USAGE ON SCHEMA public TO service_role, PUBLIC",
		"GRANT ALL ON terra_users, terra_data_payloads, terra_misc_payloads TO service_role",
		`DO $$ BEGIN ALTER TABLE terra_users RENAME COLUMN gone TO state_at; EXCEPTION WHEN undefined_column THEN NULL; END $$`)
	f.p.Reload(tb)
}
