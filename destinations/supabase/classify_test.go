package supabase

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	throttled = destination.Throttled
	transient = destination.Transient
)

// answers is a transport that always answers the same.
type answers struct {
	status int
	header http.Header
	body   string
}

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	header := a.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func over(t *testing.T, transport http.RoundTripper, change ...func(*Config)) *supabase {
	t.Helper()
	c := defaults()
	c.URL, c.ServiceRoleKey = "https://abc.supabase.co", secret.New("the-key")
	for _, with := range change {
		with(&c)
	}
	return openWith(t, c, destination.Deps{HTTP: &http.Client{Transport: transport}, Brand: "terra"})
}

// rest is an error as PostgREST writes it.
func rest(code string) string {
	return `{"code":"` + code + `","details":"row of the-key","hint":null,"message":"said the-key"}`
}

// storageError is one as storage writes it.
func storageError(status, code string) string {
	return `{"statusCode":"` + status + `","error":"x","message":"said the-key","code":"` + code + `"}`
}

func TestEveryAnswerHasItsClass(t *testing.T) {
	after := http.Header{"Retry-After": {"9"}}
	const html = "<html><body>the-key</body></html>"
	for _, c := range []struct {
		name   string
		of     string // rest or storage
		answer answers
		class  destination.Class
		says   string
	}{
		// PostgREST
		{"no column", "rest", answers{400, nil, rest("PGRST204")}, misconfigured, "ADD COLUMN IF NOT EXISTS state_at TEXT; NOTIFY pgrst"},
		{"no table", "rest", answers{404, nil, rest("PGRST205")}, misconfigured, "CREATE TABLE IF NOT EXISTS public.terra_users (user_id TEXT PRIMARY KEY"},
		{"no table any more", "rest", answers{404, nil, rest("42P01")}, misconfigured, "ENABLE ROW LEVEL SECURITY"},
		{"no column any more", "rest", answers{400, nil, rest("42703")}, misconfigured, "ALTER TABLE public.terra_users"},
		{"no unique key", "rest", answers{400, nil, rest("42P10")}, misconfigured, "CREATE UNIQUE INDEX IF NOT EXISTS terra_users_user_id_key ON public.terra_users (user_id)"},
		{"no right", "rest", answers{403, nil, rest("42501")}, misconfigured, "GRANT USAGE ON SCHEMA public TO service_role; GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_users TO service_role"},
		{"schema not exposed", "rest", answers{406, nil, rest("PGRST106")}, misconfigured, "add public to the exposed schemas"},
		{"no schema", "rest", answers{400, nil, rest("3F000")}, misconfigured, "schema public does not exist"},
		{"bad JWT", "rest", answers{401, nil, rest("PGRST301")}, misconfigured, "service_role_key"},
		{"anonymous", "rest", answers{401, nil, rest("PGRST302")}, misconfigured, "service_role_key"},
		{"expired JWT", "rest", answers{401, nil, rest("PGRST303")}, misconfigured, "service_role_key"},
		{"another type", "rest", answers{400, nil, rest("42804")}, misconfigured, "of another type"},
		{"generated", "rest", answers{400, nil, rest("428C9")}, misconfigured, "generated"},
		{"a view", "rest", answers{400, nil, rest("0A000")}, misconfigured, "ordinary"},
		{"a plan of before", "rest", answers{400, nil, `{"code":"0A000","message":"cached plan must not change result type"}`}, transient, "cached plan"},
		{"a column of theirs", "rest", answers{400, nil, rest("23502")}, misconfigured, "takes no NULL"},
		{"a reference", "rest", answers{409, nil, rest("23503")}, transient, "23503"},
		{"another constraint", "rest", answers{409, nil, rest("23505")}, rejected, "23505"},
		{"a check", "rest", answers{400, nil, rest("23514")}, rejected, "23514"},
		{"no uuid", "rest", answers{400, nil, rest("22P02")}, misconfigured, "ALTER COLUMN state TYPE TEXT"},
		{"too long", "rest", answers{400, nil, rest("22001")}, misconfigured, "ALTER COLUMN state TYPE TEXT"},
		{"a role that is none", "rest", answers{401, nil, `{"code":"22023","message":"role \"x\" does not exist"}`}, misconfigured, "service_role_key"},
		{"no key at all", "rest", answers{401, nil, rest("42501")}, misconfigured, "service_role_key"},
		{"row level security", "rest", answers{403, nil, `{"code":"42501","message":"new row violates row-level security policy for table \"terra_users\""}`}, misconfigured, "ALTER ROLE service_role BYPASSRLS"},
		{"a url with /rest/v1", "rest", answers{404, nil, rest("PGRST125")}, misconfigured, "without /rest/v1"},
		{"another method", "rest", answers{405, nil, rest("PGRST117")}, misconfigured, "see that url"},
		{"another PostgREST", "rest", answers{400, nil, rest("PGRST199")}, transient, "PGRST199"},
		{"another fault of keys", "rest", answers{400, nil, rest("PGRST399")}, misconfigured, "service_role_key"},
		{"internal of PostgREST", "rest", answers{500, nil, rest("PGRSTX00")}, transient, "PGRSTX00"},
		{"in no time", "rest", answers{504, nil, rest("PGRST003")}, transient, "PGRST003"},
		{"a count at its end", "rest", answers{400, nil, rest("2200H")}, misconfigured, "ALTER SEQUENCE"},
		{"no such character", "rest", answers{400, nil, rest("22P05")}, rejected, "22P05"},
		{"no such operator", "rest", answers{404, nil, rest("42883")}, misconfigured, "TYPE TEXT"},
		{"a column of theirs by name", "rest", answers{400, nil, `{"code":"23502","message":"null value in column \"team \"\"a\" of relation"}`}, misconfigured, "takes no NULL"},
		{"a column by name", "rest", answers{400, nil, `{"code":"23502","message":"null value in column \"team\" of relation"}`}, misconfigured, `ALTER COLUMN "team" DROP NOT NULL`},
		{"a constraint by name", "rest", answers{400, nil, `{"code":"23514","message":"new row for relation \"t\" violates check constraint \"c'x\""}`}, rejected, `ALTER TABLE public.terra_users DROP CONSTRAINT "c'x"`},
		{"an exclusion", "rest", answers{400, nil, rest("23P01")}, rejected, "23P01"},
		{"no replica identity", "rest", answers{500, nil, rest("55000")}, misconfigured, "primary key"},
		{"in use", "rest", answers{500, nil, rest("55006")}, transient, "55006"},
		{"a policy in a circle", "rest", answers{500, nil, rest("42P17")}, misconfigured, "policy"},
		{"a function that is gone", "rest", answers{400, nil, rest("42P02")}, misconfigured, "42P02"},
		{"a login", "rest", answers{403, nil, rest("28000")}, misconfigured, "service_role_key"},
		{"a view's option", "rest", answers{400, nil, rest("44000")}, rejected, "44000"},
		{"a disk", "rest", answers{503, nil, rest("53100")}, transient, "53100"},
		{"a restart", "rest", answers{503, after, rest("57P01")}, throttled, "57P01"},
		{"a foreign table", "rest", answers{500, nil, rest("HV000")}, transient, "HV000"},
		{"a status of theirs", "rest", answers{418, nil, rest("PT418")}, transient, "PT418"},
		{"too large for an index", "rest", answers{400, nil, rest("54000")}, rejected, "54000"},
		{"deadlock", "rest", answers{500, nil, rest("40P01")}, transient, "40P01"},
		{"serialization", "rest", answers{500, nil, rest("40001")}, transient, "40001"},
		{"statement timeout", "rest", answers{500, nil, rest("57014")}, transient, "57014"},
		{"too many connections", "rest", answers{503, nil, rest("53300")}, transient, "53300"},
		{"connection lost", "rest", answers{503, nil, rest("08006")}, transient, "08006"},
		{"lock", "rest", answers{500, nil, rest("55P03")}, transient, "55P03"},
		{"internal", "rest", answers{500, nil, rest("XX000")}, transient, "XX000"},
		{"read-only", "rest", answers{405, nil, rest("25006")}, transient, "takes no writes"},
		{"a trigger", "rest", answers{400, nil, rest("P0001")}, transient, "P0001"},
		{"no connection", "rest", answers{503, nil, rest("PGRST000")}, transient, "PGRST000"},
		{"loading", "rest", answers{503, after, rest("PGRST002")}, throttled, "PGRST002"},
		{"no secret", "rest", answers{500, nil, rest("PGRST300")}, misconfigured, "PGRST_JWT_SECRET"},
		{"not understood", "rest", answers{400, nil, rest("PGRST100")}, transient, "PGRST100"},
		{"unknown of PostgREST", "rest", answers{404, nil, rest("PGRST999")}, transient, "PGRST999"},
		{"rows that are none", "rest", answers{201, nil, html}, transient, "no rows"},
		{"null for rows", "rest", answers{201, nil, "null"}, transient, "no rows"},
		// storage
		{"no bucket", "storage", answers{400, nil, storageError("404", "NoSuchBucket")}, misconfigured, "VALUES ('terra-payloads', 'terra-payloads', false)"},
		{"no bucket, older", "storage", answers{400, nil, `{"statusCode":"404","error":"Bucket not found","message":"Bucket not found"}`}, misconfigured, "create the private bucket terra-payloads"},
		{"no right to storage", "storage", answers{400, nil, storageError("403", "AccessDenied")}, misconfigured, "service_role_key"},
		{"no right to storage, older", "storage", answers{400, nil, `{"statusCode":"403","error":"Unauthorized","message":"jws"}`}, misconfigured, "answered 403"},
		{"no policy", "storage", answers{400, nil, `{"statusCode":"403","error":"Unauthorized","message":"new row violates row-level security policy","code":"AccessDenied"}`}, misconfigured, "ALTER ROLE service_role BYPASSRLS"},
		{"no right to objects", "storage", answers{400, nil, `{"statusCode":"403","error":"Unauthorized","message":"permission denied for table objects","code":"AccessDenied"}`}, misconfigured, "GRANT USAGE ON SCHEMA storage TO service_role"},
		{"an expired key", "storage", answers{400, nil, `{"statusCode":"403","error":"Unauthorized","message":"\"exp\" claim timestamp check failed","code":"AccessDenied"}`}, misconfigured, "service_role_key"},
		{"a role that is none", "storage", answers{500, nil, `{"statusCode":"500","error":"DatabaseError","message":"database error, code: 22023","code":"DatabaseError"}`}, misconfigured, "does not exist"},
		{"a database's deadlock", "storage", answers{500, nil, `{"statusCode":"500","error":"DatabaseError","message":"database error, code: 40P01","code":"DatabaseError"}`}, transient, "40P01"},
		{"a bucket just deleted", "storage", answers{400, nil, `{"statusCode":"404","error":"InvalidRequest","message":"The related resource does not exist","code":"InvalidRequest"}`}, misconfigured, "create the private bucket"},
		{"a database down", "storage", answers{500, nil, storageError("500", "InternalError")}, transient, "InternalError"},
		{"read-only", "storage", answers{400, nil, storageError("503", "DatabaseReadOnly")}, transient, "takes no writes"},
		{"connections", "storage", answers{429, after, storageError("429", "SlowDown")}, throttled, "SlowDown"},
		{"migrations", "storage", answers{400, nil, storageError("503", "DatabaseSchemaMismatch")}, misconfigured, "migrations"},
		{"a policy in a circle", "storage", answers{400, nil, storageError("503", "DatabaseInvalidObjectDefinition")}, misconfigured, "policy"},
		{"another object's answer", "storage", answers{200, nil, `{"Key":"terra-payloads/daily/y.json","Id":"x"}`}, transient, "does not name the object"},
		{"another bucket's answer", "storage", answers{200, nil, `{"Key":"daily/x.json","Id":"x"}`}, transient, "does not name the object"},
		{"another project", "storage", answers{400, nil, storageError("404", "TenantNotFound")}, misconfigured, "see that url"},
		{"another type of file", "storage", answers{400, nil, storageError("415", "InvalidMimeType")}, misconfigured, "add application/json"},
		{"another type of file, older", "storage", answers{400, nil, storageError("415", "")}, misconfigured, "add application/json"},
		{"too large", "storage", answers{400, nil, storageError("413", "EntityTooLarge")}, rejected, "limit of file sizes"},
		{"too large for the gateway", "storage", answers{413, nil, html}, rejected, "413"},
		{"bad key of an object", "storage", answers{400, nil, storageError("400", "InvalidKey")}, rejected, "InvalidKey"},
		{"taken", "storage", answers{400, nil, storageError("409", "KeyAlreadyExists")}, transient, "409"},
		{"locked", "storage", answers{400, nil, storageError("423", "ResourceLocked")}, transient, "423"},
		{"slow down", "storage", answers{400, after, storageError("503", "SlowDown")}, throttled, "503"},
		{"database of storage", "storage", answers{400, nil, storageError("544", "DatabaseTimeout")}, transient, "544"},
		{"inner status that is none", "storage", answers{400, nil, storageError("200", "")}, transient, "answered 400"},
		{"no key in the answer", "storage", answers{200, nil, html}, transient, "does not name the object"},
		{"an empty key in the answer", "storage", answers{200, nil, "{}"}, transient, "does not name the object"},
		// the gateway, in front of both
		{"no key", "both", answers{401, nil, `{"message":"No API key found in request"}`}, misconfigured, "service_role_key"},
		{"invalid key", "both", answers{401, nil, `{"message":"Invalid API key"}`}, misconfigured, "Invalid API key"},
		{"forbidden", "both", answers{403, nil, html}, misconfigured, "service_role_key"},
		{"bill", "both", answers{402, nil, `{"message":"exceed_egress_quota"}`}, misconfigured, "usage and billing"},
		{"paused", "both", answers{540, nil, html}, misconfigured, "restore"},
		{"no such place", "both", answers{404, nil, `{"message":"no Route matched with those values"}`}, misconfigured, "see that url"},
		{"elsewhere", "both", answers{301, nil, ""}, misconfigured, "see that url"},
		{"bad gateway", "both", answers{502, nil, html}, transient, "answered 502"},
		{"unavailable", "both", answers{503, nil, html}, transient, "answered 503"},
		{"unavailable for a while", "both", answers{503, after, html}, throttled, "answered 503"},
		{"too long a URL", "both", answers{414, nil, html}, rejected, "answered 414"},
		{"a route", "both", answers{404, nil, `{"message":"Route POST:/object/terra-payloads/daily/hidden.json?user_id=hidden not found","error":"Not Found","statusCode":404}`}, misconfigured, "Route POST not found"},
		{"a path", "both", answers{400, nil, `{"error":"Bad Request","code":"FST_ERR_BAD_URL","message":"'/object/hidden%zz' is not a valid url component","statusCode":400}`}, transient, "is not a valid url component"},
		{"too many", "both", answers{429, after, `{"message":"slow down"}`}, throttled, "slow down"},
		{"gateway timeout", "both", answers{504, after, html}, transient, "answered 504"},
		{"origin down", "both", answers{521, nil, html}, transient, "answered 521"},
		{"odd body", "both", answers{500, nil, `{"message":{"a":1},"code":7,"error":null}`}, transient, "answered 500"},
	} {
		for _, of := range []string{"rest", "storage"} {
			if c.of != of && c.of != "both" {
				continue
			}
			t.Run(of+"/"+c.name, func(t *testing.T) {
				s := over(t, c.answer)
				var err error
				if of == "rest" {
					_, _, err = s.insert(t.Context(), s.tables.users, []row{{}})
					err = s.completed(t.Context(), s.tables.users, err)
				} else {
					_, err = s.upload(t.Context(), item{object: "daily/x.json"})
				}
				if err == nil {
					t.Fatal("it succeeded")
				}
				class, wait := destination.ClassOf(err)
				if class != c.class || (class == throttled) != (wait == 9*time.Second) {
					t.Errorf("%v is %v after %v, want %v", err, class, wait, c.class)
				}
				if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "the-key") || strings.Contains(err.Error(), "row of") || strings.Contains(err.Error(), "hidden") {
					t.Errorf("it says %q, want %q", err, c.says)
				}
			})
		}
	}
}

// A code without a row of its own has its class's, and each class has one.
func TestEveryClassOfCodesHasAMeaning(t *testing.T) {
	for _, class := range strings.Fields("08 09 0A 0L 0P 21 22 23 24 25 28 2D 38 39 3B 3F 40 42 44 53 54 55 57 58 F0 HV P0 XX") {
		if _, known := ofSQLState(class + "ZZZ"); !known {
			t.Errorf("the class %s has none", class)
		}
	}
	for _, group := range strings.Fields("PGRST0 PGRST1 PGRST2 PGRST3 PGRSTX") {
		if _, known := ofSQLState(group + "99"); !known {
			t.Errorf("the group %s has none", group)
		}
	}
	for code, m := range bySQLState {
		if m.class == misconfigured && m.advice == "" && m.does == nothing && len(code) > 2 {
			t.Errorf("%s says not what to do", code)
		}
	}
}

// refuses is a transport whose connections the guard refuses.
type refuses struct{ err error }

func (r refuses) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

func TestWhatHasNoAnswer(t *testing.T) {
	guard := destination.Misconfigure(errors.New("the guard refuses it"))
	s := over(t, refuses{guard})
	err := deliver(t, s, happened(t, 1, `{"type":"auth","user":{"user_id":"private-user"}}`))
	if class, _ := destination.ClassOf(err); class != misconfigured || err.Error() != "the guard refuses it" {
		t.Errorf("%v", err)
	}
	s = over(t, refuses{errors.New(`Get "https://abc.supabase.co/rest/v1/terra_users?user_id=eq.private-user": the-key`)})
	err = deliver(t, s, happened(t, 1, `{"type":"auth","user":{"user_id":"private-user"}}`))
	if class, _ := destination.ClassOf(err); class != transient || strings.Contains(err.Error(), "private-user") || strings.Contains(err.Error(), "the-key") {
		t.Errorf("%v", err)
	}
	if err := over(t, nil).Check(t.Context()); err == nil {
		t.Error("without a transport it went on")
	}
}

// An answer without end is not read to its end.
func TestAnEndlessAnswerIsCut(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s := over(t, transport, func(c *Config) { c.URL, c.AllowHTTP = server.URL, true })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Send(ctx, destination.Delivery{Attempt: 1, Event: happened(t, 1, `{"type":"auth"}`)}); err == nil || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}

// PostgREST before version 10 answers 404 to a PATCH of no row: it is no error.
func TestAPatchOfNoRowIsNoError(t *testing.T) {
	for _, a := range []answers{{404, nil, "[]"}, {200, nil, "[]"}} {
		s := over(t, a)
		if n, _, err := s.patch(t.Context(), s.tables.users, "u", nil, row{}); n != 0 || err != nil {
			t.Errorf("%d: %d rows, %v", a.status, n, err)
		}
	}
	s := over(t, answers{404, nil, "[]"})
	if _, _, err := s.insert(t.Context(), s.tables.users, []row{{}}); err == nil {
		t.Error("a 404 to an insert is none")
	}
}

// TestNoOtherConstraintIsDropped: PostgreSQL does not escape the quotes of a name.
func TestNoOtherConstraintIsDropped(t *testing.T) {
	for text, want := range map[string]string{
		`new row for relation "t" violates check constraint "c'x"`:                             `"c'x"`,
		`new row for relation "t" violates check constraint "c" x"`:                            `"c"" x"`,
		`update or delete on table "t" violates foreign key constraint "c" on table "u"`:       "",
		`new row for relation "t" violates check constraint "` + strings.Repeat("c", 64) + `"`: "",
		"new row for relation \"t\" violates check constraint \"c\x1b[31m\"":                   "",
	} {
		if got := named(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
