package supabase

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// The vendor's tables, as its documentation has them made, and what the dashboard
// makes of a table that somebody only named.
var (
	vendors   = beginnings["the vendor's"][:3]
	dashboard = beginnings["the dashboard's"]
)

// set is a set-up of a project: what is run as its owner, and what else is done.
type set struct {
	sql    []string
	does   func(testing.TB, *project.Project)
	key    func(testing.TB, *project.Project) string // nil: that of service_role
	config func(*Config)
	opened func(*supabase) // what validate would refuse
}

// open prepares a project with tables that the service role may write, and opens a
// destination to it.
func (s set) open(tb testing.TB, deps destination.Deps) destination.Destination {
	p := project.Start(tb)
	p.Exec(tb, "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO service_role") // as projects have it
	p.Exec(tb, s.sql...)
	if s.does != nil {
		s.does(tb, p)
	}
	p.Reload(tb)
	c := settings(p)
	if s.key != nil {
		c.ServiceRoleKey = secret.New(s.key(tb, p))
	}
	if s.config != nil {
		s.config(&c)
	}
	d, err := open(c, deps) // validate refuses some of them: see TestSettingsAreRefusedWithAReason
	if err != nil {
		tb.Fatal(err)
	}
	if s.opened != nil {
		s.opened(d.(*supabase))
	}
	return d
}

// role makes a key of a role that may do what sql grants it.
func role(name string, sql ...string) func(testing.TB, *project.Project) string {
	return func(tb testing.TB, p *project.Project) string {
		tb.Helper()
		p.Exec(tb, `DO $$ BEGIN CREATE ROLE `+name+` NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`, "GRANT USAGE ON SCHEMA public TO "+name)
		p.Exec(tb, sql...)
		return p.Issue(project.Claims{"role": name})
	}
}

func script() string { return tablesOf("terra", "public").script() }

func ours(more ...string) []string { return append([]string{script()}, more...) }

func vendorsAnd(more ...string) []string { return append(append([]string{}, vendors...), more...) }

// rights are those that a role of one's own needs in storage.
const storageRights = "GRANT USAGE ON SCHEMA storage TO limited; GRANT SELECT, INSERT, UPDATE, DELETE ON storage.objects TO limited; GRANT SELECT ON storage.buckets TO limited"

const tableRights = "GRANT SELECT, INSERT, UPDATE ON terra_users, terra_data_payloads, terra_misc_payloads TO limited"

// TestSetups are projects as customers have them.
func TestSetups(t *testing.T) {
	held := func(says ...string) destinationtest.Verdict {
		return destinationtest.Verdict{Is: destinationtest.Held, Says: says}
	}
	fine, noted := destinationtest.Verdict{}, func(says ...string) destinationtest.Verdict {
		return destinationtest.Verdict{Is: destinationtest.Noted, Says: says}
	}
	is := func(f destinationtest.Fate, says ...string) destinationtest.Verdict {
		return destinationtest.Verdict{Is: f, Says: says}
	}
	user := []string{`{"type":"auth","status":"success","user":{"user_id":"u-1","provider":"FITBIT","reference_id":"r-1","scopes":"daily"}}`}
	data := []string{`{"type":"daily","user":{"user_id":"u-1","provider":"FITBIT"},"data":[{"metadata":{"start_time":"2026-03-12T06:00:00Z","end_time":"2026-03-12T07:00:00Z"}},{}]}`}
	var all []destinationtest.Setup
	add := func(name string, s set, check, send destinationtest.Verdict, more ...func(*destinationtest.Setup)) {
		one := destinationtest.Setup{Name: name, Open: s.open, Check: check, Send: send}
		for _, m := range more {
			m(&one)
		}
		all = append(all, one)
	}
	bodies := func(b []string) func(*destinationtest.Setup) {
		return func(s *destinationtest.Setup) { s.Bodies = b }
	}
	unseen := func(why string) func(*destinationtest.Setup) {
		return func(s *destinationtest.Setup) { s.Unseen = why }
	}

	add("ours", set{sql: ours()}, fine, fine)
	add("a secret key", set{sql: ours(), key: func(_ testing.TB, p *project.Project) string { return p.SecretKey }}, fine, fine)
	add("nothing at all", set{}, held("CREATE TABLE public.terra_users", "CREATE TABLE public.terra_misc_payloads", "GRANT SELECT, INSERT, UPDATE ON public.terra_users, public.terra_data_payloads, public.terra_misc_payloads TO service_role"),
		held("CREATE TABLE public.terra_users", "CREATE TABLE public.terra_data_payloads"))
	add("nothing at all, undescribed", set{does: func(_ testing.TB, p *project.Project) { p.Undescribed(true) }}, held("CREATE TABLE IF NOT EXISTS public.terra_users"), held("CREATE TABLE IF NOT EXISTS public.terra_users"))
	add("the vendor's tables", set{sql: vendorsAnd()}, held("ALTER TABLE public.terra_users ADD updated_at TEXT, ADD reference_id_at TEXT"), held("ALTER TABLE public.terra_users ADD updated_at TEXT"), bodies(user))
	add("the vendor's tables, completed", set{sql: vendorsAnd(script())}, fine, fine)
	add("the vendor's tables, completed by rpc", set{sql: vendorsAnd(), config: func(c *Config) { c.Complete.RPC = true }, does: func(tb testing.TB, p *project.Project) {
		p.Exec(tb, tablesOf("terra", "public").functionScript())
	}}, noted("The first delivery completes the tables"), is(destinationtest.Retried, "It was made just now"), bodies(user))
	add("tables of the dashboard", set{sql: dashboard},
		held("the tables are incomplete", "ALTER TABLE public.terra_data_payloads ADD payload_id TEXT", "CREATE UNIQUE INDEX IF NOT EXISTS terra_misc_payloads_payload_id_key"),
		held("ALTER TABLE public.terra_users ADD user_id TEXT", "ALTER TABLE public.terra_misc_payloads ADD payload_id TEXT"))
	add("tables of the dashboard, user_id a uuid", set{sql: ours(
		"DROP TABLE terra_users CASCADE",
		`CREATE TABLE terra_users (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, user_id UUID NOT NULL, created_at TIMESTAMPTZ NOT NULL DEFAULT now(), reference_id TEXT, granted_scopes TEXT, provider TEXT, state TEXT)`)},
		held("user_id is uuid", "ALTER COLUMN user_id TYPE TEXT", "ADD updated_at TEXT", "CREATE UNIQUE INDEX IF NOT EXISTS terra_users_user_id_key"),
		held("user_id is uuid", "ALTER COLUMN user_id TYPE TEXT"))
	add("row level security and no policies", set{sql: ours("ALTER TABLE terra_users FORCE ROW LEVEL SECURITY")}, fine, fine)
	add("a role without BYPASSRLS", set{sql: ours(), key: role("limited", tableRights, storageRights)}, held("row-level security", "ALTER ROLE limited BYPASSRLS"), held("ALTER ROLE limited BYPASSRLS"))
	add("a role without BYPASSRLS, storage alone", set{sql: ours("ALTER TABLE terra_users DISABLE ROW LEVEL SECURITY", "ALTER TABLE terra_data_payloads DISABLE ROW LEVEL SECURITY", "ALTER TABLE terra_misc_payloads DISABLE ROW LEVEL SECURITY"),
		key: role("limited", tableRights, storageRights)},
		held("the role limited does not pass row level security of storage.objects"), held("the role limited does not pass row level security of storage.objects"))
	add("the anon key", set{sql: ours(), key: func(_ testing.TB, p *project.Project) string { return p.Anon }}, held("permission denied for table terra_users", "TO anon"), held("permission denied"))
	add("a role that does not exist", set{sql: ours(), key: func(_ testing.TB, p *project.Project) string {
		return p.Issue(project.Claims{"role": "nobody_of_that_name"})
	}},
		held("22023", "service_role_key"), held("22023", "service_role_key"))
	add("no rights", set{sql: ours("REVOKE ALL ON terra_users, terra_data_payloads, terra_misc_payloads FROM service_role")}, held("GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_users TO service_role"), held("GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_users"))
	add("no right to storage", set{sql: ours("REVOKE ALL ON storage.objects FROM service_role")}, held("permission denied for table objects", "GRANT USAGE ON SCHEMA storage TO service_role"), held("GRANT USAGE ON SCHEMA storage"))
	add("no bucket", set{sql: ours(), does: func(_ testing.TB, p *project.Project) { p.RenameBucket("terra-payloads", "tera-payloads") }},
		held("INSERT INTO storage.buckets", `This key sees "tera-payloads"`), held("INSERT INTO storage.buckets"))
	add("a public bucket", set{sql: ours(), does: func(_ testing.TB, p *project.Project) { p.Restrict("terra-payloads", true, 0) }}, noted("is public"), fine)
	add("a bucket for images", set{sql: ours(), does: func(_ testing.TB, p *project.Project) { p.Restrict("terra-payloads", false, 0, "image/*") }},
		held("application/json is not supported", "SET allowed_mime_types = NULL"), held("SET allowed_mime_types = NULL"))
	add("a bucket for JSON", set{sql: ours(), does: func(_ testing.TB, p *project.Project) { p.Restrict("terra-payloads", false, 0, "application/json") }}, fine, fine)
	add("a bucket of 1 KB", set{sql: ours(), does: func(_ testing.TB, p *project.Project) { p.Restrict("terra-payloads", false, 1000) }}, noted("takes objects of 1000 bytes at most (file_size_limit)"), fine)
	add("a bucket of 1 byte", set{sql: ours(), does: func(_ testing.TB, p *project.Project) { p.Restrict("terra-payloads", false, 1) }},
		is(destinationtest.Refused, "file_size_limit"), is(destinationtest.Refused, "limit of file sizes"))
	add("a hidden bucket", set{sql: ours(), key: role("limited", tableRights, storageRights, "CREATE POLICY a ON storage.objects TO limited USING (bucket_id = 'terra-payloads') WITH CHECK (bucket_id = 'terra-payloads')",
		"ALTER TABLE terra_users DISABLE ROW LEVEL SECURITY", "ALTER TABLE terra_data_payloads DISABLE ROW LEVEL SECURITY", "ALTER TABLE terra_misc_payloads DISABLE ROW LEVEL SECURITY")},
		noted("the role limited may not see what else it is"), fine)
	for name, c := range map[string]struct{ table, column, kind, says string }{
		"a state of numbers":      {"terra_users", "state", "INTEGER USING NULL", "state is int32"},
		"a state of three":        {"terra_users", "state", "VARCHAR(3)", "state is character varying(3)"},
		"a provider of two":       {"terra_users", "provider", "VARCHAR(2)", "provider is character varying(2)"},
		"a reference of uuids":    {"terra_users", "reference_id", "UUID USING NULL", "reference_id is uuid"},
		"a creation of numbers":   {"terra_users", "created_at", "BIGINT USING NULL", "created_at is int64"},
		"marks as JSON":           {"terra_users", "provider_at", "JSONB USING NULL", "provider_at is jsonb"},
		"marks of times":          {"terra_users", "updated_at", "TIMESTAMPTZ USING NULL", "updated_at is timestamp with time zone"},
		"users as numbers":        {"terra_users", "user_id", "BIGINT USING NULL", "user_id is int64"},
		"a type of an enum":       {"terra_data_payloads", "data_type", "kinds USING NULL", "data_type is an enum"},
		"payloads by uuid":        {"terra_data_payloads", "payload_id", "UUID USING NULL", "payload_id is uuid"},
		"payloads of one item":    {"terra_data_payloads", "payload_id", "VARCHAR(36)", "payload_id is character varying(36)"},
		"the start as a time":     {"terra_data_payloads", "start_time", "TIME USING NULL", "start_time is time without time zone"},
		"a type of four":          {"terra_data_payloads", "data_type", "CHARACTER(4)", "data_type is character(4)"},
		"a creation in a boolean": {"terra_data_payloads", "created_at", "BOOLEAN USING NULL", "created_at is boolean"},
	} {
		of := data
		if c.table == "terra_users" {
			of = user
		}
		sql := ours("CREATE TYPE kinds AS ENUM ('activity', 'sleep')", "ALTER TABLE terra_data_payloads DROP CONSTRAINT terra_data_payloads_user_id_fkey", "ALTER TABLE terra_misc_payloads DROP CONSTRAINT terra_misc_payloads_user_id_fkey",
			"ALTER TABLE "+c.table+" ALTER COLUMN "+c.column+" TYPE "+c.kind)
		alter := "ALTER COLUMN " + c.column + " TYPE T"
		add(name, set{sql: sql}, held(c.says, alter), held(c.says, alter), bodies(of))
	}
	add("times without a zone", set{sql: ours("ALTER TABLE terra_users ALTER COLUMN created_at TYPE TIMESTAMP", "ALTER TABLE terra_data_payloads ALTER COLUMN start_time TYPE TIMESTAMP")}, fine, fine)
	add("times as texts", set{sql: ours("ALTER TABLE terra_users ALTER COLUMN created_at TYPE TEXT", "ALTER TABLE terra_data_payloads ALTER COLUMN start_time TYPE TEXT")}, fine, fine)
	add("scopes as JSON", set{sql: ours("ALTER TABLE terra_users ALTER granted_scopes TYPE JSONB USING NULL")}, fine, fine)
	add("wide enough", set{sql: ours("ALTER TABLE terra_users ALTER COLUMN provider TYPE VARCHAR(50), ALTER COLUMN state TYPE VARCHAR(20)")}, fine, fine)
	add("a column of theirs", set{sql: ours("ALTER TABLE terra_users ADD team TEXT NOT NULL", "ALTER TABLE terra_users ADD plan TEXT NOT NULL")},
		held("team of yours takes no NULL", "ALTER COLUMN \"plan\" DROP NOT NULL, ALTER COLUMN \"team\" DROP NOT NULL"), held("ALTER COLUMN \"team\" DROP NOT NULL"))
	add("a column of theirs, undescribed", set{sql: ours("ALTER TABLE terra_users ADD team TEXT NOT NULL"), does: func(_ testing.TB, p *project.Project) { p.Undescribed(true) }},
		held("ALTER COLUMN \"team\" DROP NOT NULL"), held("ALTER COLUMN \"team\" DROP NOT NULL"))
	add("a column of theirs with a default", set{sql: ours("ALTER TABLE terra_users ADD team TEXT NOT NULL DEFAULT 'a', ADD n BIGINT GENERATED ALWAYS AS IDENTITY")}, fine, fine)
	add("a key of theirs", set{sql: ours("DROP TABLE terra_misc_payloads", "CREATE TABLE terra_misc_payloads (id UUID PRIMARY KEY, payload_id TEXT UNIQUE, user_id TEXT, data_type TEXT, payload_type TEXT, created_at TIMESTAMPTZ)")},
		held("ALTER COLUMN \"id\" SET DEFAULT gen_random_uuid()"), held("ALTER COLUMN \"id\" SET DEFAULT gen_random_uuid()"), bodies(user))
	add("no NULL in ours", set{sql: ours("ALTER TABLE terra_users ALTER reference_id SET NOT NULL", "ALTER TABLE terra_misc_payloads ALTER data_type SET NOT NULL")},
		held("reference_id takes no NULL", "ALTER COLUMN reference_id DROP NOT NULL", "ALTER COLUMN data_type DROP NOT NULL"), held("ALTER COLUMN data_type DROP NOT NULL"), bodies(user))
	add("no unique key", set{sql: ours("ALTER TABLE terra_data_payloads DROP CONSTRAINT terra_data_payloads_pkey")},
		held("CREATE UNIQUE INDEX IF NOT EXISTS terra_data_payloads_payload_id_key"), held("CREATE UNIQUE INDEX"), bodies(data))
	add("a key that is deferred", set{sql: ours("ALTER TABLE terra_data_payloads DROP CONSTRAINT terra_data_payloads_pkey, ADD PRIMARY KEY (payload_id) DEFERRABLE")},
		held("DEFERRABLE"), held("not DEFERRABLE"), bodies(data))
	add("a key that is deferred, of users", set{sql: ours("ALTER TABLE terra_users DROP CONSTRAINT terra_users_pkey CASCADE, ADD PRIMARY KEY (user_id) DEFERRABLE")},
		fine, held("not DEFERRABLE"), bodies(user), unseen("the database looks at it when there is a row to insert, and the rows of a check have no ON CONFLICT"))
	add("a generated column", set{sql: ours("ALTER TABLE terra_users DROP COLUMN state, ADD state TEXT GENERATED ALWAYS AS (provider) STORED")}, held("generated"), held("generated"), bodies(user))
	add("a view", set{sql: ours("ALTER TABLE terra_users RENAME TO real_users", "CREATE VIEW terra_users AS SELECT * FROM real_users")}, fine, fine)
	add("a view of two tables", set{sql: ours("ALTER TABLE terra_users RENAME TO real_users", "CREATE VIEW terra_users AS SELECT u.* FROM real_users u LEFT JOIN terra_data_payloads p USING (user_id)")}, held("terra_users"), held("terra_users"))
	add("a rule", set{sql: ours("CREATE RULE r AS ON INSERT TO terra_misc_payloads DO INSTEAD NOTHING")}, held("ordinary tables, without rules"), held("ordinary tables, without rules"), bodies(user))
	add("a trigger that swallows", set{sql: ours("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", "CREATE TRIGGER nothing BEFORE INSERT ON terra_misc_payloads FOR EACH ROW EXECUTE FUNCTION nothing()")},
		held("keeps none"), held("keeps none"), bodies(user))
	add("a trigger that raises", set{sql: ours("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.user_id = 'u-1' THEN RAISE EXCEPTION USING ERRCODE = '22001'; END IF; RETURN NEW; END $$",
		"CREATE TRIGGER no BEFORE INSERT ON terra_misc_payloads FOR EACH ROW EXECUTE FUNCTION no()")}, fine, held("a trigger, a default or an expression of yours fails", "SELECT tgname"), bodies(user),
		unseen("it does not raise for the user of a check"))
	add("a trigger that copies", set{sql: ours("CREATE TABLE copies (id VARCHAR(3))", "GRANT ALL ON copies TO service_role",
		"CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO copies VALUES (NEW.payload_id); RETURN NEW; END'", "CREATE TRIGGER copy AFTER INSERT ON terra_data_payloads FOR EACH ROW EXECUTE FUNCTION copy()")},
		fine, held("22001", "a trigger, a default or an expression of yours fails"), bodies(data), unseen("the database looks at a key before it runs such triggers, and a check violates it"))
	add("a trigger that changes keys", set{sql: ours("CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.payload_id NOT LIKE 'fantail%' THEN NEW.payload_id := 'same'; END IF; RETURN NEW; END $$",
		"CREATE TRIGGER other BEFORE INSERT ON terra_data_payloads FOR EACH ROW EXECUTE FUNCTION other()")},
		fine, held("a trigger changes it"), bodies(data[:1]), unseen("it does nothing to the rows of a check"))
	add("a count at its end", set{sql: ours("CREATE SEQUENCE ids MAXVALUE 1 MINVALUE 0", "SELECT nextval('ids'), nextval('ids')", "ALTER TABLE terra_users ADD id INT DEFAULT nextval('ids')", "GRANT USAGE ON SEQUENCE ids TO service_role")},
		held("2200H", "ALTER SEQUENCE"), held("2200H", "ALTER SEQUENCE"), bodies(user))
	for name, kind := range map[string]string{"users of a fixed width": "CHAR(36)", "users without case": "TEXT COLLATE any_case"} {
		add(name, set{sql: ours("CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)", "ALTER TABLE terra_users ALTER COLUMN user_id TYPE "+kind,
			"INSERT INTO terra_users (user_id, provider) VALUES ('u-1', ''), ('u-2', '')")},
			held("takes different users", `ALTER COLUMN user_id TYPE TEXT COLLATE "C"`), held("takes different users", `TYPE TEXT COLLATE "C"`),
			bodies([]string{strings.Replace(user[0], "u-1", map[string]string{"CHAR(36)": "u-1 "}[kind]+map[bool]string{true: "U-1"}[kind != "CHAR(36)"], 1)}))
	}
	add("a constraint on states", set{sql: ours("ALTER TABLE terra_users ADD CONSTRAINT known CHECK (state IN ('active', 'inactive'))")},
		is(destinationtest.Refused, `ALTER TABLE public.terra_users DROP CONSTRAINT "known"`), fine, bodies(user))
	add("a unique reference", set{sql: ours("ALTER TABLE terra_users ADD CONSTRAINT one UNIQUE (provider)")},
		fine, fine, bodies(user))
	add("users of auth", set{sql: ours("CREATE SCHEMA auth", "CREATE TABLE auth.users (id TEXT PRIMARY KEY)", "ALTER TABLE terra_users ADD CONSTRAINT who FOREIGN KEY (user_id) REFERENCES auth.users")},
		fine, is(destinationtest.Retried, `ALTER TABLE public.terra_users DROP CONSTRAINT "who"`), bodies(user))
	add("a publication of tables without a key", set{sql: ours("ALTER TABLE terra_users DROP CONSTRAINT terra_users_pkey CASCADE", "CREATE UNIQUE INDEX u ON terra_users (user_id)", "CREATE PUBLICATION p FOR TABLE terra_users")},
		held("primary key"), held("primary key"), bodies(user))
	add("a partitioned table", set{sql: ours("DROP TABLE terra_data_payloads", "CREATE TABLE terra_data_payloads (payload_id TEXT, user_id TEXT, data_type TEXT, created_at TIMESTAMPTZ, start_time TIMESTAMPTZ, end_time TIMESTAMPTZ, PRIMARY KEY (payload_id, created_at)) PARTITION BY RANGE (created_at)")},
		held("no unique key"), held("unique"), bodies(data))
	add("a policy that refers to itself", set{sql: ours("CREATE POLICY p ON terra_users TO limited USING (EXISTS (SELECT FROM terra_users))"), key: role("limited", tableRights, storageRights)}, held("42P17"), held("42P17"), bodies(user))
	add("another schema", set{sql: ours(), config: func(c *Config) { c.Schema = "storage" }}, held("add storage to the exposed schemas"), held("exposed schemas"))
	add("a URL with /rest/v1", set{sql: ours(), opened: func(d *supabase) { d.service.base.Path = "/rest/v1" }}, held("PGRST125", "without /rest/v1"), held("without /rest/v1"))
	add("read-only", set{sql: ours(), does: func(_ testing.TB, p *project.Project) { p.ReadOnly(true) }}, is(destinationtest.Retried, "takes no writes"), is(destinationtest.Retried, "takes no writes"))
	add("paused", set{sql: ours(), does: func(_ testing.TB, p *project.Project) {
		p.Fault(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(540); return true })
	}}, held("paused"), held("paused"))
	destinationtest.RunSetups(t, all)
	if n := len(all); n < 50 {
		t.Errorf("%d set-ups", n)
	}
}

// Nothing of a check stays, also where it finds fault.
func TestASetupIsLeftAsItWas(t *testing.T) {
	for name, sql := range map[string][]string{
		"ours": ours(), "a unique provider": ours("ALTER TABLE terra_users ADD UNIQUE (provider)"), "a column of theirs": ours("ALTER TABLE terra_misc_payloads ADD team TEXT NOT NULL"),
		"no key": ours("ALTER TABLE terra_misc_payloads DROP CONSTRAINT terra_misc_payloads_pkey"), "another type": ours("ALTER TABLE terra_misc_payloads ALTER COLUMN data_type TYPE INT USING NULL"),
	} {
		p := project.Start(t)
		p.Exec(t, sql...)
		p.Reload(t)
		_ = opened(t, p).Check(t.Context())
		for table, rows := range tableRows(t, p) {
			if len(rows) != 0 {
				t.Errorf("%s: %s has %v", name, table, rows)
			}
		}
		if n := len(p.Objects("terra-payloads")); n != 0 {
			t.Errorf("%s: %d objects", name, n)
		}
	}
}

// The SQL that holds a destination, run as it stands, ends what held it.
func TestTheSQLThatHoldsIsEnough(t *testing.T) {
	for name, sql := range map[string][]string{
		"nothing at all": nil, "the vendor's": vendorsAnd(), "the dashboard's": dashboard, "a column missing": ours("ALTER TABLE terra_users DROP COLUMN state_at"),
		"types": ours("ALTER TABLE terra_data_payloads DROP CONSTRAINT terra_data_payloads_user_id_fkey", "ALTER TABLE terra_misc_payloads DROP CONSTRAINT terra_misc_payloads_user_id_fkey",
			"ALTER TABLE terra_users ALTER user_id TYPE BIGINT USING NULL, ALTER created_at DROP DEFAULT, ALTER created_at TYPE BIGINT USING NULL, ALTER state TYPE VARCHAR(3), ALTER provider TYPE UUID USING NULL",
			"ALTER TABLE terra_data_payloads ALTER start_time TYPE INT USING NULL, ALTER payload_id TYPE UUID USING NULL"),
		"numbers that count": {`CREATE TABLE terra_users (user_id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, created_at BIGINT NOT NULL DEFAULT 0)`},
		"NOT NULL":           ours("ALTER TABLE terra_users ALTER reference_id SET NOT NULL, ALTER state SET NOT NULL", "ALTER TABLE terra_misc_payloads ADD team TEXT NOT NULL, ADD id UUID NOT NULL, ALTER data_type SET NOT NULL"),
		"another key":        ours("ALTER TABLE terra_misc_payloads DROP CONSTRAINT terra_misc_payloads_pkey, ADD id UUID PRIMARY KEY"),
	} {
		t.Run(name, func(t *testing.T) {
			p := project.Start(t)
			p.Exec(t, "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO service_role")
			p.Exec(t, sql...)
			p.Reload(t)
			d := opened(t, p)
			for round := 0; ; round++ {
				err := d.Check(t.Context())
				if err == nil {
					break
				}
				_, run, ok := strings.Cut(err.Error(), "Run in the SQL editor: ")
				if !ok || round == 3 || len(err.Error()) > maxReason {
					t.Fatalf("round %d, %d bytes: %v", round, len(err.Error()), err)
				}
				p.Exec(t, run)
				p.Reload(t)
				if round > 0 && name != "numbers that count" { // of which there is more than fits
					t.Errorf("one script was not enough: %v", err)
				}
			}
			send(t, d, happened(t, 1, day(1, "00")), happened(t, 2, `{"type":"auth","user":{"user_id":"u"}}`), happened(t, 3, `{"type":"healthcheck"}`))
		})
	}
}
