package postgres

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/pgclient"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestEveryStateMeansWhatItsRowSays: the server gives every code that its own list has, and of each class one that nobody
// knows.
func TestEveryStateMeansWhatItsRowSays(t *testing.T) {
	f := newFar(t)
	p := f.open(t)
	if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
		t.Fatal(err)
	}
	f.exec(t, "CREATE TABLE code (code text)", "GRANT ALL ON code TO "+quoted(f.role),
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = (SELECT code FROM code), MESSAGE = ''no''; END'`,
		"CREATE TRIGGER refuse BEFORE INSERT ON terra_data_payloads FOR EACH ROW EXECUTE FUNCTION refuse()")
	var list string
	if err := f.admin.QueryRowContext(t.Context(), "SELECT pg_read_file(setting || '/errcodes.txt') FROM pg_config WHERE name = 'SHAREDIR'").Scan(&list); err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(..)(...) +[WE] `).FindAllStringSubmatch(list, -1) { // S is success
		codes[m[1]+m[2]], codes[m[1]+"ZZZ"] = true, true
	}
	if len(codes) < 250 {
		t.Fatalf("the server's list has only %d codes", len(codes))
	}
	for code := range codes {
		f.exec(t, "DELETE FROM code", "INSERT INTO code VALUES ('"+code+"')")
		_, err := p.Send(t.Context(), plain(t, 2))
		m := pgclient.MeaningOf(code)
		if class, _ := destination.ClassOf(err); err == nil || class != m.Class || !strings.Contains(err.Error(), "answered "+code+": no") {
			t.Errorf("%s: %v, %v; want %v", code, class, err, m.Class)
		}
	}
}

// met is a state as a server comes to give it by itself.
type met struct {
	code string
	sql  []string // that brings it about; $role and $database as in customers
	with func(*Config)
	body string // "": a daily of user u-1
	fate destinationtest.Fate
	says string
}

func options(text string) func(*Config) {
	return func(c *Config) { c.DSN = secret.New(c.DSN.Reveal() + "&options=" + url.QueryEscape(text)) }
}

// does makes a trigger of payloads of a body in PL/pgSQL.
func does(when, body string) []string {
	return []string{"CREATE FUNCTION does() RETURNS trigger LANGUAGE plpgsql AS $$ " + body + " $$",
		"CREATE TRIGGER does " + when + " INSERT ON terra_data_payloads FOR EACH ROW EXECUTE FUNCTION does()"}
}

// states are those that a server can be made to give, besides those of customers.
var states = []met{
	{"28000", []string{"ALTER ROLE $role NOLOGIN"}, nil, "", held, "run: ALTER ROLE $role LOGIN"},
	{"28P01", []string{"ALTER ROLE $role PASSWORD 'another'"}, nil, "", held, "ALTER ROLE $role PASSWORD"},
	{"3D000", nil, func(c *Config) { c.Database = "lost" }, "", held, `CREATE DATABASE "lost" OWNER $role`},
	{"53300", []string{"ALTER ROLE $role CONNECTION LIMIT 0"}, nil, "", retried, "ALTER ROLE $role CONNECTION LIMIT -1"},
	{"22023", nil, options("-c timezone=Nowhere"), "", held, "mend options"},
	{"42704", nil, options("-c nonsense=1"), "", held, "mend options"},
	{"55P02", nil, options("-c max_connections=5"), "", held, "mend options"},
	{"42501", nil, options("-c log_statement=all"), "", held, "mend options"},

	{"23503", []string{"CREATE TABLE accounts (id text PRIMARY KEY)", "ALTER TABLE terra_users ADD FOREIGN KEY (reference_id) REFERENCES accounts DEFERRABLE INITIALLY DEFERRED"}, nil, auth, retried, "may still come"},
	{"23505", []string{"ALTER TABLE terra_users ADD CONSTRAINT once UNIQUE (provider)", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('x', '', 'FITBIT')"}, nil, auth, refused, "once of yours"},
	{"23P01", []string{"ALTER TABLE terra_users ADD CONSTRAINT apart EXCLUDE (provider WITH =)", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('x', '', 'FITBIT')"}, nil, auth, refused, "apart of yours"},
	{"22001", []string{"ALTER TABLE terra_users ALTER provider TYPE varchar(3)"}, nil, auth, refused, "too long"},
	{"23514", []string{"ALTER TABLE terra_users ADD CHECK (reference_id <> 'r-1')"}, nil, auth, refused, "check constraint"},
	{"21000", does("BEFORE", "BEGIN NEW.start_time := (SELECT v FROM (VALUES ('a'), ('b')) AS x(v)); RETURN NEW; END"), nil, "", held, "a trigger of yours fails"},
	{"22P02", does("BEFORE", "BEGIN NEW.start_time := ('x' || NEW.user_id)::int; RETURN NEW; END"), nil, "", held, "a trigger of yours fails"},
	{"22012", does("BEFORE", "BEGIN NEW.start_time := (1 / 0)::text; RETURN NEW; END"), nil, "", held, "a trigger of yours fails"},
	{"23502", does("BEFORE", "BEGIN NEW.payload_url := NULL; RETURN NEW; END"), nil, "", held, "must take NULL"},
	{"20000", does("BEFORE", "BEGIN CASE NEW.data_type WHEN 'x' THEN RETURN NEW; END CASE; END"), nil, "", held, "a trigger"},
	{"27000", []string{"INSERT INTO terra_users (user_id, created_at, provider) VALUES ('u-1', '', '')",
		"CREATE FUNCTION does() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF pg_trigger_depth() = 1 THEN UPDATE $role.terra_users SET provider = 'x' WHERE user_id = NEW.user_id; END IF; RETURN NEW; END $$",
		"ALTER FUNCTION does() SECURITY DEFINER", "CREATE TRIGGER does BEFORE UPDATE ON terra_users FOR EACH ROW EXECUTE FUNCTION does()"}, nil, auth, held, "let it change NEW"},
	{"2D000", does("BEFORE", "BEGIN COMMIT; RETURN NEW; END"), nil, "", held, "trigger"},
	{"2F005", does("BEFORE", "BEGIN END"), nil, "", held, "trigger"},
	{"38000", []string{"CREATE FUNCTION own() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''38000''; END'", "ALTER TABLE terra_data_payloads ADD CONSTRAINT own CHECK (own() = 1)"}, nil, "", held, "trigger"},
	{"42P01", does("AFTER", "BEGIN INSERT INTO lost VALUES (1); RETURN NEW; END"), nil, "", held, "a trigger of yours fails"},
	{"42703", does("AFTER", "BEGIN NEW.lost := 1; RETURN NEW; END"), nil, "", held, "a trigger of yours fails"},
	{"42883", does("AFTER", "BEGIN PERFORM lost(); RETURN NEW; END"), nil, "", held, "a trigger of yours fails"},
	{"42601", does("AFTER", "BEGIN EXECUTE 'nonsense'; RETURN NEW; END"), nil, "", held, "a trigger of yours fails"},
	{"42804", does("BEFORE", "BEGIN RETURN ROW(1); END"), nil, "", held, "a trigger of yours fails"},
	{"42P17", []string{"ALTER TABLE terra_users ENABLE ROW LEVEL SECURITY", "CREATE POLICY again ON terra_users USING (EXISTS (SELECT FROM terra_users))"}, nil, auth, held, "policy"},
	{"42P10", []string{"CREATE PUBLICATION one FOR TABLE terra_data_payloads WHERE (data_type = 'sleep')"}, nil, "", held, "REPLICA IDENTITY FULL"},
	{"54001", does("AFTER", "BEGIN INSERT INTO terra_data_payloads SELECT NEW.payload_id || 'x', 'u', '', '', ''; RETURN NEW; END"), nil, "", held, "a trigger of yours"},
	{"P0001", does("BEFORE", "BEGIN RAISE 'not today'; END"), nil, "", retried, "not today"},
	{"P0002", does("BEFORE", "DECLARE r text; BEGIN SELECT provider INTO STRICT r FROM terra_users WHERE user_id = 'x'; RETURN NEW; END"), nil, "", retried, "a trigger of yours"},
}

func TestStatesThatAServerGivesByItself(t *testing.T) {
	dsn := servers.StartPostgres(t).DSN
	for _, s := range states {
		t.Run(s.code+" "+s.says, func(t *testing.T) {
			f := farAt(t, dsn)
			f.asCustomer(t, customer{sql: s.sql})
			f.meets(t, f.open(t, func(c *Config) {
				if s.with != nil {
					s.with(c)
				}
			}), s)
		})
	}
}

// meets sends an event that is to meet s.
func (f *far) meets(t *testing.T, p *postgres, s met) {
	t.Helper()
	body := s.body
	if body == "" {
		body = daily
	}
	_, err := p.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(body)))
	class, _ := destination.ClassOf(err)
	want := map[destinationtest.Fate]destination.Class{held: destination.Misconfigured, refused: destination.Rejected, retried: destination.Transient}[s.fate]
	says := strings.ReplaceAll(s.says, "$role", quoted(f.role))
	if err == nil || class != want || !strings.Contains(err.Error(), "answered "+s.code+": ") || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, %v; want %s, %v, %q", class, err, s.code, want, says)
	}
}

// TestStatesOfAServerThatStops, waits, follows another or lets nobody in.
func TestStatesOfAServerThatStops(t *testing.T) {
	server := servers.PrivatePostgres(t)
	f := farAt(t, server.DSN)
	f.asCustomer(t, customer{})
	read := func(query string) (text string) {
		t.Helper()
		if err := f.admin.QueryRowContext(t.Context(), query).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	whole := f.conf
	t.Run("a lock", func(t *testing.T) {
		f.exec(t, "ALTER ROLE "+quoted(f.role)+" SET lock_timeout = '50ms'")
		tx, err := f.admin.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(t.Context(), "LOCK TABLE terra_users"); err != nil {
			t.Fatal(err)
		}
		f.meets(t, f.open(t), met{code: "55P03", fate: retried, says: "lock"})
		f.exec(t, "ALTER ROLE "+quoted(f.role)+" RESET lock_timeout")
		for code, end := range map[string]string{"57014": "pg_cancel_backend", "57P01": "pg_terminate_backend"} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				f.meets(t, f.open(t), met{code: code, fate: retried})
			}()
			for read("SELECT count(*) > 0 AND bool_and("+end+"(pid)) FROM pg_stat_activity WHERE usename = '"+f.role+"' AND wait_event_type = 'Lock'") != "true" {
				if t.Context().Err() != nil {
					t.Fatal("nobody waits for the lock")
				}
			}
			<-done
		}
	})
	t.Run("no database takes connections", func(t *testing.T) {
		f.exec(t, "CREATE DATABASE shut ALLOW_CONNECTIONS false")
		f.meets(t, f.open(t, func(c *Config) { c.Database = "shut" }), met{code: "55000", fate: held, says: `ALTER DATABASE "shut" ALLOW_CONNECTIONS true`})
	})
	t.Run("TLS alone", func(t *testing.T) {
		hba := read("SHOW hba_file")
		lines := read("SELECT pg_read_file('" + hba + "')")
		// For this role alone: the test itself goes on without TLS.
		f.exec(t, "COPY (SELECT 'hostssl all \""+f.role+"\" all scram-sha-256' UNION ALL SELECT 'host all asked all ident' UNION ALL SELECT 'host all \"postgres\" all scram-sha-256') TO '"+hba+"'", "SELECT pg_reload_conf()")
		p := f.open(t)
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
				break
			}
			p.pool.drop(time.Time{})
		}
		f.meets(t, f.open(t), met{code: "28000", fate: held, says: "set tls.mode to verify-full"})
		f.meets(t, f.open(t, func(c *Config) { c.User = "asked" }), met{code: "28000", fate: held, says: "something else than a password"})
		f.meets(t, f.open(t, func(c *Config) { c.User = "nobody" }), met{code: "28000", fate: held, says: "set tls.mode"})
		f.exec(t, "COPY (SELECT unnest(string_to_array($$"+lines+"$$, E'\n'))) TO '"+hba+"'", "SELECT pg_reload_conf()")
	})
	f.conf = whole
	t.Run("stopping", func(t *testing.T) {
		pid, err := strconv.Atoi(read("SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)"))
		if err != nil {
			t.Fatal(err)
		}
		tx, err := f.admin.BeginTx(t.Context(), nil) // it stops when this session has ended
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p := f.open(t)
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); p.pool.drop(time.Time{}) {
			if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
				break
			}
		}
		f.meets(t, f.open(t), met{code: "57P03", fate: retried, says: "starting or stopping"})
	})
	server.Stop()
	server.Start()
	t.Run("a standby", func(t *testing.T) {
		signal := read("SHOW data_directory") + "/standby.signal"
		f.exec(t, "COPY (SELECT) TO '"+signal+"'")
		server.Stop()
		server.Start()
		p := f.open(t)
		f.meets(t, p, met{code: "25006", fate: retried, says: "this server is a standby"})
		err := p.Check(t.Context())
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient || !strings.Contains(err.Error(), "standby") {
			t.Errorf("check: %v, %v", class, err)
		}
		if _, err := f.admin.ExecContext(t.Context(), "SELECT pg_promote()"); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), plain(t, 1)); err != nil {
			t.Errorf("promoted: %v", err)
		}
	})
}

// TestAPortOfMySQLIsNamed, by a real server, with TLS and without.
func TestAPortOfMySQLIsNamed(t *testing.T) {
	config, err := mysql.ParseDSN(servers.StartMySQL(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{farside.Disable, farside.VerifyFull} {
		c := defaults()
		c.Host, c.User, c.Database, c.Password, c.TLS.Mode = config.Addr, "u", "d", secret.New("hunter2"), mode
		p := openWith(t, c, sqltablestest.Deps(sqltablestest.NewStore()))
		defer p.Close()
		_, sent := p.Send(t.Context(), plain(t, 1))
		for what, err := range map[string]error{"send": sent, "check": p.Check(t.Context())} {
			class, _ := destination.ClassOf(err)
			if err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "MySQL or MariaDB and no PostgreSQL: set host and port") || strings.Contains(err.Error(), "password") {
				t.Errorf("%s, %s: %v, %v", mode, what, class, err)
			}
		}
	}
}
