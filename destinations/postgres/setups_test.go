package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// long is a store whose links have the length that those of real ones have, with
// the token of a session if token is its length.
type long struct {
	*sqltablestest.Store
	token int
}

func (s long) Link(ctx context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	l, err := s.Store.Link(ctx, developer, id, ttl)
	random := make([]byte, (400+s.token)/2)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	l.URL += "&X-Token=" + hex.EncodeToString(random)
	return l, err
}

// customer is a database as a customer has it.
type customer struct {
	name string
	sql  []string // that makes it so, as the superuser; $role is the role

	check, send destinationtest.Verdict

	bare   bool          // without tables: else they are as ours, of the superuser, with the rights of the documentation
	apart  bool          // in a database of its own
	with   func(*Config) // settings
	token  int           // see long
	bodies []string      // see destinationtest.Setup
	keeps  string        // a query of what must be "t" at the end
	unseen string        // see destinationtest.Setup
	script bool          // the SQL that check says ends it
}

func fine() destinationtest.Verdict { return destinationtest.Verdict{Is: destinationtest.Fine} }
func says(is destinationtest.Fate, text ...string) destinationtest.Verdict {
	return destinationtest.Verdict{Is: is, Says: text}
}

// vendor are the tables as the vendor of the contract makes them.
var vendor = sqltablestest.Others[:3:3]

const (
	held, noted, refused, retried = destinationtest.Held, destinationtest.Noted, destinationtest.Refused, destinationtest.Retried

	own = "ALTER TABLE terra_users OWNER TO $role; ALTER TABLE terra_data_payloads OWNER TO $role; ALTER TABLE terra_other_payloads OWNER TO $role"
	// anybody compares without regard to case.
	anyCase = "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
	auth    = `{"type":"auth","status":"success","user":{"user_id":"u-1","provider":"FITBIT","reference_id":"r-1"}}`
	daily   = `{"type":"daily","user":{"user_id":"u-1","provider":"FITBIT"},"data":[{}]}`
)

var customers = []customer{
	{name: "nothing yet", bare: true, check: fine(), send: fine()},
	{name: "tables as documented", check: fine(), send: fine()},
	{name: "the vendor's tables", bare: true, sql: append(vendor, own), check: fine(), send: fine()},
	{name: "the vendor's tables of another role", bare: true, sql: append(vendor, "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA $role TO $role"), script: true,
		check: says(held, "ADD COLUMN IF NOT EXISTS payload_id", "CREATE UNIQUE INDEX ON"), send: says(held, "ADD COLUMN IF NOT EXISTS")},
	{name: "the vendor's tables, published", apart: true, bare: true, sql: append(vendor, own, "CREATE PUBLICATION everything FOR ALL TABLES"), script: true,
		check: says(held, "terra_data_payloads is published (everything)", "REPLICA IDENTITY FULL"), send: says(held, "REPLICA IDENTITY FULL"),
		bodies: []string{daily}},
	{name: "published, keyed but without an identity", sql: []string{"ALTER TABLE terra_data_payloads DROP CONSTRAINT terra_data_payloads_pkey", "CREATE UNIQUE INDEX ON terra_data_payloads (payload_id)",
		"INSERT INTO terra_data_payloads SELECT '0000019b-0000-7000-8000-000000000000', '', '', '', ''", "CREATE PUBLICATION one FOR TABLE terra_data_payloads"}, script: true,
		check: says(held, "published (one)"), send: says(held, "55000", "REPLICA IDENTITY FULL"), bodies: []string{daily}},
	{name: "a deferrable key", sql: []string{"ALTER TABLE terra_users DROP CONSTRAINT terra_users_pkey, ADD PRIMARY KEY (user_id) DEFERRABLE INITIALLY DEFERRED"}, script: true,
		check: says(held, "deferrable", "ADD PRIMARY KEY (user_id)"), send: says(held, "55000", "ADD PRIMARY KEY (user_id)"), bodies: []string{auth, daily}},

	{name: "links of 255", sql: []string{"ALTER TABLE terra_data_payloads ALTER payload_url TYPE varchar(255)", "ALTER TABLE terra_other_payloads ALTER payload_url TYPE varchar(255)"}, script: true,
		check: says(held, "payload_url is character varying(255)", "ALTER COLUMN \"payload_url\" TYPE TEXT"), send: says(held, "22001", "TYPE TEXT")},
	{name: "links of 1024", sql: []string{"ALTER TABLE terra_data_payloads ALTER payload_url TYPE varchar(1024)"}, check: says(noted, "payload_url", "TYPE TEXT"), send: fine()},
	{name: "links of 1024, and tokens", token: 2000, bodies: []string{daily}, sql: []string{"ALTER TABLE terra_data_payloads ALTER payload_url TYPE varchar(1024)"}, script: true,
		check: says(noted, "payload_url", "TYPE TEXT"), send: says(held, "22001", "payload_url is character varying(1024)", "TYPE TEXT"), unseen: "not all links are so long"},
	{name: "an index of longer links", token: 9000, bodies: []string{daily}, sql: []string{"CREATE INDEX urls ON terra_data_payloads (payload_url)"}, script: true,
		check: says(noted, "urls"), send: says(held, "54000", "DROP INDEX"), unseen: "not all links are so long"},
	{name: "an index of links", token: 3000, bodies: []string{daily}, sql: []string{"CREATE INDEX urls ON terra_data_payloads (payload_url)"}, script: true,
		check: says(noted, "urls", "DROP INDEX"), send: says(held, "54000", "DROP INDEX"), unseen: "not all links are so long"},
	{name: "uuid", sql: []string{"ALTER TABLE terra_users ALTER user_id TYPE uuid USING NULL", "ALTER TABLE terra_data_payloads ALTER user_id TYPE uuid USING NULL, ALTER payload_id TYPE uuid USING NULL"}, script: true,
		check: says(held, "in terra_users user_id is uuid", "in terra_data_payloads payload_id is uuid"), send: says(held, "42804", "is uuid"), bodies: []string{auth, daily}},
	{name: "timestamptz", sql: []string{"ALTER TABLE terra_users ALTER created_at TYPE timestamptz USING now(), ALTER created_at SET DEFAULT now()", "ALTER TABLE terra_data_payloads ALTER start_time TYPE timestamp USING NULL",
		"INSERT INTO terra_users (user_id, provider, created_at) VALUES ('u-1', '', '2026-02-03T04:05:06+01:00')"}, script: true,
		check: says(held, "created_at is timestamp with time zone", "start_time is timestamp without"), send: says(held, "42804", "USING to_char"), bodies: []string{auth, daily},
		keeps: "SELECT created_at = '2026-02-03T03:05:06.000000Z' FROM terra_users WHERE user_id = 'u-1'"},
	{name: "numbers", sql: []string{"ALTER TABLE terra_users ALTER reference_id TYPE int USING NULL"}, script: true,
		check: says(held, "reference_id is integer"), send: says(held, "42804"), bodies: []string{auth, daily}},
	{name: "enum", sql: []string{"CREATE TYPE state AS ENUM ('active', 'deauth')", "ALTER TABLE terra_users ALTER state TYPE state USING NULL"}, script: true,
		check: says(held, "state is state"), send: says(held, "42804"), bodies: []string{auth, daily}},
	{name: "jsonb", sql: []string{"ALTER TABLE terra_users ALTER granted_scopes TYPE jsonb USING NULL"}, script: true,
		check: says(held, "granted_scopes is jsonb"), send: says(held, "42804"), bodies: []string{auth, daily}},
	{name: "a domain that wants more", sql: []string{"CREATE DOMAIN link AS text CHECK (value LIKE 'ftp%')", "ALTER TABLE terra_data_payloads ALTER payload_url TYPE link"},
		check: fine(), send: says(held, "23514", "ALTER COLUMN \"payload_url\" TYPE TEXT"), bodies: []string{daily}, unseen: "no plan runs what a domain checks"},
	{name: "short marks", sql: []string{"ALTER TABLE terra_users ALTER state_at TYPE varchar(27), ALTER updated_at TYPE varchar(27)"}, script: true,
		check: says(held, "state_at is character varying(27)"), send: says(held, "22001"), bodies: []string{auth, daily}},
	{name: "a short reference", sql: []string{"ALTER TABLE terra_users ALTER reference_id TYPE varchar(2)"},
		check: fine(), send: says(refused, "22001"), bodies: []string{auth}},

	{name: "a column of theirs must be", sql: []string{"ALTER TABLE terra_data_payloads ADD tenant int NOT NULL"}, script: true,
		check: says(held, "tenant is yours", "ALTER COLUMN \"tenant\" DROP NOT NULL"), send: says(held, "23502", "DROP NOT NULL"), bodies: []string{daily}},
	{name: "ids of theirs", sql: []string{"ALTER TABLE terra_data_payloads DROP CONSTRAINT terra_data_payloads_pkey, ADD id uuid PRIMARY KEY, ADD UNIQUE (payload_id)",
		"ALTER TABLE terra_other_payloads DROP CONSTRAINT terra_other_payloads_pkey, ADD id bigint PRIMARY KEY, ADD UNIQUE (payload_id)"}, script: true,
		check: says(held, "SET DEFAULT gen_random_uuid()", "AS IDENTITY"), send: says(held, "23502"), bodies: []string{daily, `{"type":"healthcheck"}`}},
	{name: "times must be", sql: []string{"ALTER TABLE terra_data_payloads ADD CONSTRAINT k UNIQUE (payload_id), DROP CONSTRAINT terra_data_payloads_pkey, ADD PRIMARY KEY (user_id, payload_id, end_time)"}, script: true,
		check: says(held, "end_time takes no NULL", "DROP CONSTRAINT terra_data_payloads_pkey"), send: says(held, "23502"), bodies: []string{daily}},
	{name: "a count whose sequence is barred", sql: []string{"ALTER TABLE terra_users ADD n serial"}, script: true,
		check: says(held, "GRANT USAGE ON SEQUENCE"), send: says(held, "GRANT USAGE ON SEQUENCE"), bodies: []string{auth, daily}},
	{name: "an identity of theirs", sql: []string{"ALTER TABLE terra_users ADD n int GENERATED ALWAYS AS IDENTITY"}, check: fine(), send: fine()},
	{name: "generated", sql: []string{"ALTER TABLE terra_data_payloads DROP data_type, ADD data_type text GENERATED ALWAYS AS (payload_id || 'x') STORED"}, script: true,
		check: says(held, "data_type is generated", "DROP EXPRESSION"), send: says(held, "428C9", "DROP EXPRESSION"), bodies: []string{daily}},

	{name: "rules", sql: []string{"CREATE RULE no AS ON INSERT TO terra_users DO INSTEAD NOTHING"}, script: true,
		check: says(held, "the rule no", "DROP RULE no ON"), send: says(held, "0A000", "DROP RULE", "DROP RULE"), bodies: []string{auth, daily}},
	{name: "a trigger that swallows", sql: []string{"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", "CREATE TRIGGER swallows BEFORE INSERT ON terra_data_payloads FOR EACH ROW EXECUTE FUNCTION no()"},
		check: says(noted, "the trigger swallows of terra_data_payloads"), send: says(held, "has not written 1 rows", "DROP TRIGGER swallows ON"), bodies: []string{daily}, unseen: "a trigger is seen when it runs"},
	{name: "a trigger that fails", sql: []string{"CREATE TABLE audit (url varchar(20))", "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (NEW.payload_url); RETURN NEW; END'",
		"GRANT ALL ON audit TO $role", "CREATE TRIGGER audits AFTER INSERT ON terra_data_payloads FOR EACH ROW EXECUTE FUNCTION log()"},
		check: fine(), send: says(held, "22001", "a trigger of yours fails"), bodies: []string{daily}, unseen: "a trigger is seen when it runs"},
	{name: "a trigger without its rights", sql: []string{"CREATE TABLE audit (url text)", "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (NEW.payload_url); RETURN NEW; END'",
		"CREATE TRIGGER audits AFTER INSERT ON terra_data_payloads FOR EACH ROW EXECUTE FUNCTION log()"},
		check: fine(), send: says(held, "42501", "SECURITY DEFINER"), bodies: []string{daily}, unseen: "a trigger is seen when it runs"},
	{name: "row-level security", sql: []string{"ALTER TABLE terra_users ENABLE ROW LEVEL SECURITY"}, script: true,
		check: says(held, "CREATE POLICY fantail ON"), send: says(held, "CREATE POLICY fantail ON"), bodies: []string{auth, daily}},
	{name: "policies that let in others", sql: []string{"ALTER TABLE terra_users ENABLE ROW LEVEL SECURITY", "CREATE POLICY theirs ON terra_users USING (user_id = 'nobody')"},
		check: says(noted, "policies of terra_users"), send: says(held, "42501", "CREATE POLICY"), bodies: []string{auth, daily}, unseen: "a policy is asked when a row comes"},
	{name: "a policy that asks itself", sql: []string{"ALTER TABLE terra_users ENABLE ROW LEVEL SECURITY", "CREATE POLICY theirs ON terra_users USING (EXISTS (SELECT FROM terra_users))"},
		check: says(held, "42P17", "policy"), send: says(held, "42P17"), bodies: []string{auth, daily}},
	{name: "some rows published", sql: []string{"CREATE PUBLICATION one FOR TABLE terra_data_payloads WHERE (data_type = 'sleep')"},
		check: says(held, "42P10", "REPLICA IDENTITY FULL"), send: says(held, "42P10", "REPLICA IDENTITY FULL"), bodies: []string{daily}, script: true},
	{name: "partitions by time", sql: []string{"DROP TABLE terra_data_payloads", "CREATE TABLE terra_data_payloads (payload_id text, user_id varchar(36) NOT NULL, data_type text NOT NULL, created_at text NOT NULL, payload_url text NOT NULL, start_time text, end_time text, PRIMARY KEY (payload_id, created_at)) PARTITION BY RANGE (created_at)",
		"GRANT ALL ON terra_data_payloads TO $role"}, script: true,
		check: says(held, "terra_data_payloads is partitioned", "RENAME TO"), send: says(held, "RENAME TO"), bodies: []string{daily}},
	{name: "partitions by id, and none", sql: []string{"DROP TABLE terra_data_payloads", "CREATE TABLE terra_data_payloads (payload_id text PRIMARY KEY, user_id varchar(36) NOT NULL, data_type text NOT NULL, created_at text NOT NULL, payload_url text NOT NULL, start_time text, end_time text) PARTITION BY HASH (payload_id)",
		"GRANT ALL ON terra_data_payloads TO $role"}, script: true,
		check: says(held, "has no partition", "PARTITION OF"), send: says(held, "23514", "PARTITION OF"), bodies: []string{daily}},

	{name: "a unique key of theirs", sql: []string{"ALTER TABLE terra_users ADD CONSTRAINT one_each UNIQUE (reference_id)", "INSERT INTO terra_users (user_id, reference_id, created_at, provider) VALUES ('other', 'r-1', '', 'THEIRS')"},
		check: says(noted, "the unique key one_each of terra_users on (reference_id)"), send: says(refused, "23505", "one_each of yours", "DROP CONSTRAINT one_each"), bodies: []string{auth},
		keeps: "SELECT count(*) = 1 AND max(provider) = 'THEIRS' FROM terra_users"},
	{name: "a unique key of ours alone", sql: []string{"CREATE UNIQUE INDEX once ON terra_data_payloads (data_type)", "INSERT INTO terra_data_payloads VALUES ('x', 'other', 'daily', '', 'THEIRS')"},
		check: says(noted, "once"), send: says(held, "23505", "DROP INDEX"), bodies: []string{daily}, unseen: "the key may be meant",
		keeps: "SELECT count(*) = 1 AND max(payload_url) = 'THEIRS' FROM terra_data_payloads"},
	{name: "a CHECK of theirs", sql: []string{"ALTER TABLE terra_users ADD CHECK (provider <> 'FITBIT')"}, check: fine(), send: says(refused, "23514"), bodies: []string{auth}},
	{name: "a CHECK of what we fill", sql: []string{"ALTER TABLE terra_data_payloads ADD CONSTRAINT types CHECK (data_type IN ('sleep'))"},
		check: says(noted, "types"), send: says(held, "23514", "DROP CONSTRAINT \"types\""), bodies: []string{daily}, unseen: "no plan runs a CHECK"},
	{name: "a CHECK of a column of theirs", sql: []string{"ALTER TABLE terra_users ADD company text DEFAULT 'x' CHECK (company <> 'x')"},
		check: fine(), send: says(held, "23514", "DROP CONSTRAINT"), bodies: []string{auth}, unseen: "no plan runs a CHECK"},
	{name: "users without case", sql: []string{anyCase, "ALTER TABLE terra_users ALTER user_id TYPE varchar(36) COLLATE any_case", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('U-1', '', 'THEIRS')"}, script: true,
		check: says(held, "takes different users for one", `COLLATE "C"`), send: says(held, "has not written", `COLLATE "C"`), bodies: []string{auth},
		keeps: "SELECT bool_and(provider = 'THEIRS') FROM terra_users WHERE user_id = 'U-1'"},
	{name: "a unique key without case", sql: []string{anyCase, "CREATE UNIQUE INDEX no_case ON terra_users (user_id COLLATE any_case)", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('U-1', '', 'THEIRS')"}, script: true,
		check: says(held, "no_case", "DROP INDEX"), send: says(held, "DROP INDEX"), bodies: []string{auth},
		keeps: "SELECT bool_and(provider = 'THEIRS') FROM terra_users WHERE user_id = 'U-1'"},
	{name: "citext", apart: true, sql: []string{"CREATE EXTENSION citext", "ALTER TABLE terra_users ALTER user_id TYPE citext", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('U-1', '', 'THEIRS')"}, script: true,
		check: says(held, "takes different users for one (the type citext"), send: says(held, "has not written"), bodies: []string{auth},
		keeps: "SELECT bool_and(provider = 'THEIRS') FROM terra_users WHERE user_id::text = 'U-1'"},

	{name: "users of a fixed width", sql: []string{"ALTER TABLE terra_users ALTER user_id TYPE char(36)", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('u-1', '', 'THEIRS')"}, script: true,
		check: says(held, "the type character ignores blanks"), send: says(held, "another key", `COLLATE "C"`), bodies: []string{strings.Replace(auth, "u-1", "u-1 ", 1)},
		keeps: "SELECT bool_and(provider = 'THEIRS') FROM terra_users WHERE user_id = 'u-1'"},
	{name: "a trigger that changes users", sql: append(does("BEFORE", "BEGIN NEW.payload_id = 'same'; RETURN NEW; END"), "INSERT INTO terra_data_payloads VALUES ('same', 'other', 'daily', '', 'THEIRS')"),
		check: says(noted, "may change rows"), send: says(held, "another key", "DROP TRIGGER"), bodies: []string{daily}, unseen: "a trigger is seen when it runs",
		keeps: "SELECT count(*) = 1 AND max(payload_url) = 'THEIRS' FROM terra_data_payloads"},

	{name: "payloads that refer to users", sql: []string{"ALTER TABLE terra_other_payloads ADD CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES terra_users"},
		check: says(noted, "of_user", "DROP CONSTRAINT of_user"), send: says(retried, "23503", "DROP CONSTRAINT of_user"), bodies: []string{`{"type":"healthcheck"}`}},
	{name: "uuid, and a foreign key between them", sql: []string{"ALTER TABLE terra_users ALTER user_id TYPE uuid USING NULL",
		"ALTER TABLE terra_data_payloads ALTER user_id TYPE uuid USING NULL, ADD CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES terra_users ON DELETE CASCADE"}, script: true,
		check: says(held, "is uuid", "DROP CONSTRAINT of_user", `ADD CONSTRAINT of_user FOREIGN KEY ("user_id")`), send: says(held, "42804", "DROP CONSTRAINT of_user"), bodies: []string{auth, daily},
		keeps: "SELECT count(*) = 1 FROM pg_constraint WHERE conname = 'of_user' AND confdeltype = 'c' AND conrelid = 'terra_data_payloads'::regclass"},
	{name: "a policy that restricts", sql: []string{"ALTER TABLE terra_users ENABLE ROW LEVEL SECURITY", "CREATE POLICY all_of_it ON terra_users USING (true)", "CREATE POLICY some_of_it ON terra_users AS RESTRICTIVE USING (user_id = 'nobody')"},
		check: says(noted, "policies of terra_users"), send: says(held, "42501", "some_of_it", "BYPASSRLS"), bodies: []string{auth}, unseen: "a policy is asked when a row comes"},
	{name: "a policy of the name that we advise", sql: []string{"ALTER TABLE terra_users ENABLE ROW LEVEL SECURITY", "CREATE POLICY fantail ON terra_users FOR SELECT USING (true)"}, script: true,
		check: says(held, "CREATE POLICY fantail2 ON"), send: says(held, "CREATE POLICY fantail2 ON"), bodies: []string{auth}},
	{name: "a partition too few", sql: []string{"DROP TABLE terra_users", "CREATE TABLE terra_users ($types, PRIMARY KEY (user_id)) PARTITION BY RANGE (user_id)",
		"CREATE TABLE terra_users_all PARTITION OF terra_users FOR VALUES FROM ('a') TO ('b')", "GRANT ALL ON terra_users TO $role"},
		check: fine(), send: says(held, "23514", `"terra_users_all2" PARTITION OF`), bodies: []string{auth}, unseen: "which rows partitions take is told by expressions alone"},
	{name: "a remainder too few", sql: []string{"DROP TABLE terra_users", "CREATE TABLE terra_users ($types, PRIMARY KEY (user_id)) PARTITION BY HASH (user_id)",
		"CREATE TABLE terra_users_0 PARTITION OF terra_users FOR VALUES WITH (MODULUS 1000, REMAINDER 0)", "GRANT ALL ON terra_users TO $role"},
		check: fine(), send: says(held, "23514", "add the one that is missing"), bodies: []string{auth}, unseen: "which rows partitions take is told by expressions alone"},
	{name: "a partition of a partition too few", sql: []string{"DROP TABLE terra_users", "CREATE TABLE terra_users ($types, PRIMARY KEY (user_id)) PARTITION BY LIST (user_id)",
		"CREATE TABLE terra_users_some PARTITION OF terra_users DEFAULT PARTITION BY HASH (user_id)", "GRANT ALL ON terra_users TO $role"},
		check: fine(), send: says(held, "23514", "no partition of terra_users_some"), bodies: []string{auth}, unseen: "which rows partitions take is told by expressions alone"},

	{name: "a count that is at its end", sql: []string{"CREATE SEQUENCE ids START 2 MAXVALUE 2", "SELECT nextval('ids')", "ALTER TABLE terra_users ADD id int DEFAULT nextval('ids')", "GRANT USAGE ON SEQUENCE ids TO $role"},
		check: fine(), send: says(held, "2200H", "ALTER SEQUENCE"), bodies: []string{auth}, unseen: "no plan counts"},
	{name: "a column made of our times", sql: []string{"ALTER TABLE terra_data_payloads ADD day varchar(8) GENERATED ALWAYS AS (created_at) STORED"},
		check: fine(), send: says(held, "22001", "the column day of terra_data_payloads"), bodies: []string{daily}, unseen: "no plan runs an expression"},
	{name: "an index of numbers in links", sql: []string{"CREATE INDEX numbers ON terra_data_payloads ((payload_url::int))"},
		check: fine(), send: says(held, "22P02", "the index numbers"), bodies: []string{daily}, unseen: "no plan runs an expression"},
	{name: "a column made of references", sql: []string{"ALTER TABLE terra_users ADD n int GENERATED ALWAYS AS (reference_id::int) STORED"},
		check: fine(), send: says(refused, "22P02"), bodies: []string{auth}},
	{name: "a CHECK of what we fill and of users", sql: []string{"ALTER TABLE terra_data_payloads ADD CONSTRAINT both_of CHECK (length(payload_url) < 20 OR user_id = '')"},
		check: says(noted, "both_of"), send: says(refused, "23514"), bodies: []string{daily}},

	{name: "a read-only role", sql: []string{"ALTER ROLE $role SET default_transaction_read_only = on"}, script: true,
		check: says(held, "default_transaction_read_only = off"), send: says(held, "25006", "default_transaction_read_only = off")},
	{name: "no right to connect", apart: true, sql: []string{"REVOKE CONNECT ON DATABASE $database FROM PUBLIC"}, script: true,
		check: says(held, "42501", "GRANT CONNECT ON DATABASE"), send: says(held, "GRANT CONNECT ON DATABASE")},
	{name: "no right to the schema", sql: []string{"REVOKE ALL ON SCHEMA $role FROM $role", "ALTER ROLE $role SET search_path = nothing, $role"}, script: true,
		check: says(held, "GRANT USAGE ON SCHEMA"), send: says(held, "GRANT USAGE ON SCHEMA")},
	{name: "no right to the schema that is set", sql: []string{"REVOKE ALL ON SCHEMA $role FROM $role"}, script: true, with: func(c *Config) { c.Schema = "$role" },
		check: says(held, "GRANT USAGE ON SCHEMA"), send: says(held, "GRANT USAGE ON SCHEMA")},
	{name: "no right to create", bare: true, sql: []string{"REVOKE CREATE ON SCHEMA $role FROM $role"}, script: true,
		check: says(held, "GRANT CREATE ON SCHEMA"), send: says(held, "GRANT CREATE ON SCHEMA")},
	{name: "no right to a table", sql: []string{"REVOKE UPDATE ON terra_users FROM $role"}, script: true,
		check: says(held, "GRANT SELECT, INSERT, UPDATE ON TABLE"), send: says(held, "GRANT SELECT, INSERT, UPDATE ON TABLE"), bodies: []string{auth, daily}},
	{name: "rights to columns", sql: []string{"ALTER TABLE terra_users ADD secret text", "REVOKE ALL ON terra_users FROM $role", "GRANT SELECT ($columns), INSERT ($columns), UPDATE ($columns) ON terra_users TO $role"}, check: fine(), send: fine()},
	{name: "an owner without CREATE", bare: true, sql: append(vendor, own, "REVOKE CREATE ON SCHEMA $role FROM $role"), script: true,
		check: says(held, "CREATE UNIQUE INDEX ON"), send: says(held, "CREATE UNIQUE INDEX ON"), bodies: []string{daily}},

	{name: "a view", apart: true, sql: []string{"ALTER TABLE terra_users RENAME TO people", "CREATE VIEW terra_users AS SELECT * FROM people", "GRANT ALL ON terra_users TO $role",
		"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", "CREATE TRIGGER instead INSTEAD OF INSERT ON terra_users FOR EACH ROW EXECUTE FUNCTION no()"}, script: true,
		check: says(held, "terra_users is no ordinary table but a view", "RENAME TO"), send: says(held, "a view"), bodies: []string{auth, daily}},
	{name: "a foreign table", apart: true, sql: []string{"DROP TABLE terra_users", "CREATE FOREIGN DATA WRAPPER w", "CREATE SERVER s FOREIGN DATA WRAPPER w", "CREATE FOREIGN TABLE terra_users ($types) SERVER s", "GRANT ALL ON terra_users TO $role"}, script: true,
		check: says(held, "a foreign table"), send: says(held, "a foreign table"), bodies: []string{auth, daily}},
	{name: "another schema", bare: true, sql: []string{"CREATE SCHEMA \"Our Data\" AUTHORIZATION $role"}, with: func(c *Config) { c.Schema = "Our Data" }, check: fine(), send: fine(),
		keeps: `SELECT count(*) = 2 FROM "Our Data".terra_users`},
	{name: "a search_path of two", bare: true, sql: []string{"CREATE SCHEMA first AUTHORIZATION $role", "ALTER ROLE $role SET search_path = nothing, first, $role"}, check: fine(), send: fine(),
		keeps: `SELECT count(*) = 2 FROM first.terra_users`},
	{name: "a search_path to nowhere", bare: true, sql: []string{"ALTER ROLE $role SET search_path = nothing"}, check: says(held, "set schema"), send: says(held, "set schema")},
	{name: "a schema that is not there", bare: true, with: func(c *Config) { c.Schema = "lost" }, script: true, check: says(held, `CREATE SCHEMA "lost"`), send: says(held, `CREATE SCHEMA "lost"`)},
}

// TestSetUps has databases as customers have them. What check says to run ends what
// is in the way, in one go.
func TestSetUps(t *testing.T) {
	var setups []destinationtest.Setup
	shared := servers.StartPostgres(t).DSN
	for _, c := range customers {
		setups = append(setups, c.setup(shared))
	}
	destinationtest.RunSetups(t, setups)
}

func (c customer) setup(shared string) destinationtest.Setup {
	s := destinationtest.Setup{Name: c.name, Check: c.check, Send: c.send, Bodies: c.bodies, Unseen: c.unseen}
	var f *far
	var reopen func(tb testing.TB) *postgres
	s.Open = func(tb testing.TB, deps destination.Deps) destination.Destination {
		dsn := shared
		if c.apart {
			dsn = servers.StartPostgres(tb).DSN
		}
		f = farAt(tb, dsn)
		f.asCustomer(tb, c)
		destinationtest.Lend(&deps, long{f.store, c.token})
		reopen = func(tb testing.TB) *postgres {
			return f.open(tb, func(conf *Config) {
				if c.with != nil {
					c.with(conf)
					conf.Schema = strings.ReplaceAll(conf.Schema, "$role", f.role)
				}
			})
		}
		conf := f.conf
		if c.with != nil {
			c.with(&conf)
			conf.Schema = strings.ReplaceAll(conf.Schema, "$role", f.role)
		}
		return openWith(tb, conf, deps)
	}
	s.After = func(tb testing.TB) {
		if c.script {
			f.mend(tb, reopen(tb), c)
		}
		if c.keeps != "" {
			var is bool
			if err := f.admin.QueryRowContext(tb.Context(), c.keeps).Scan(&is); err != nil || !is {
				tb.Errorf("%s: %t, %v", c.keeps, is, err)
			}
		}
	}
	return s
}

// asCustomer makes the database so.
func (f *far) asCustomer(tb testing.TB, c customer) {
	tb.Helper()
	users := sqltables.Of("terra").Users
	database := ""
	if err := f.admin.QueryRowContext(tb.Context(), "SELECT current_database()").Scan(&database); err != nil {
		tb.Fatal(err)
	}
	var types []string
	for _, column := range users.Columns {
		types = append(types, column.Name+" "+typeOf(column.Type))
	}
	as := strings.NewReplacer("$role", quoted(f.role), "$database", quoted(database), "$columns", strings.Join(users.Names(), ", "), "$types", strings.Join(types, ", "))
	if !c.bare {
		for _, table := range sqltables.Of("terra").All() {
			f.exec(tb, createTable(table.Name, table), "GRANT SELECT, INSERT, UPDATE ON "+table.Name+" TO "+quoted(f.role))
		}
	}
	for _, sql := range c.sql {
		f.exec(tb, as.Replace(sql))
	}
	tb.Cleanup(func() {
		f.exec(tb, `DROP SCHEMA IF EXISTS first, "Our Data", lost CASCADE`, "DROP PUBLICATION IF EXISTS one") // before the role is dropped
	})
}

// mend runs what check says to run. Then nothing may be in the way of check and
// deliveries.
func (f *far) mend(tb testing.TB, p *postgres, c customer) {
	tb.Helper()
	err := p.Check(tb.Context())
	if err == nil {
		tb.Fatal("the check says nothing to run")
	}
	f.exec(tb, script(tb, err)...)
	f.cut(tb)
	err = p.Check(tb.Context())
	if _, ok := errors.AsType[destination.Remark](err); err != nil && !ok {
		tb.Errorf("check after its script: %v", err)
	}
	bodies := c.bodies
	if bodies == nil {
		bodies = []string{auth, daily, `{"type":"healthcheck"}`}
	}
	for n, body := range bodies {
		for range 2 { // a repeat updates
			if _, err := p.Send(tb.Context(), destinationtest.Delivery(tb, 100+n, []byte(body))); err != nil {
				tb.Errorf("send after the script: %v", err)
			}
		}
	}
}

// script is the SQL that an error says to run.
func script(tb testing.TB, err error) []string {
	tb.Helper()
	_, sql, ok := strings.Cut(err.Error(), "run")
	_, sql, ok2 := strings.Cut(sql, ": ")
	if !ok || !ok2 {
		tb.Fatalf("%v has no SQL to run", err)
	}
	if strings.Count(sql, ")") > strings.Count(sql, "(") { // advice stands in brackets
		sql = strings.TrimSuffix(sql, ")")
	}
	return strings.Split(sql, "; ")
}

// TestADatabaseOfAnotherEncoding: check says that not all characters will do.
func TestADatabaseOfAnotherEncoding(t *testing.T) {
	server := servers.StartPostgres(t)
	near := farAt(t, server.DSN)
	name := "latin_" + strings.ReplaceAll(servers.Name(), "-", "_")
	near.exec(t, "CREATE DATABASE "+name+" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	t.Cleanup(func() { near.exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	latin := func(name, reference string, send destinationtest.Verdict) destinationtest.Setup {
		return destinationtest.Setup{Name: name, Check: says(noted, "the encoding LATIN1"), Send: send,
			Bodies: []string{`{"type":"auth","user":{"user_id":"u-1","reference_id":"` + reference + `"}}`},
			Open: func(tb testing.TB, deps destination.Deps) destination.Destination {
				f := farAt(tb, u.String())
				return f.Open(tb, deps)
			}}
	}
	destinationtest.RunSetups(t, []destinationtest.Setup{
		latin("characters that it has", "grün", fine()),
		latin("one that it lacks", "日本", says(refused, "22P05", "UTF8")),
	})
}

// TestNeighboursOfWhatIsHeldAreDelivered, in whatever way the table keeps one kind
// of rows out.
func TestNeighboursOfWhatIsHeldAreDelivered(t *testing.T) {
	dsn := servers.StartPostgres(t).DSN
	for name, sql := range map[string][]string{
		"a CHECK":       {"ALTER TABLE terra_data_payloads ADD CHECK (data_type <> 'daily')"},
		"a trigger":     does("BEFORE", "BEGIN IF NEW.data_type = 'daily' THEN RETURN NULL; END IF; RETURN NEW; END"),
		"one that ends": does("BEFORE", "BEGIN CASE NEW.data_type WHEN 'sleep' THEN RETURN NEW; END CASE; END"),
		"one that asks": does("BEFORE", "BEGIN IF NEW.data_type = 'daily' THEN PERFORM lost(); END IF; RETURN NEW; END"),
	} {
		t.Run(name, func(t *testing.T) {
			f := farAt(t, dsn)
			f.asCustomer(t, customer{sql: sql})
			var ds []destination.Delivery
			for n, typ := range []string{"sleep", "daily", "sleep"} {
				ds = append(ds, destinationtest.Delivery(t, n+1, []byte(`{"type":"`+typ+`","user":{"user_id":"u-1"},"data":[{}]}`)))
			}
			for n, r := range f.open(t).SendBatch(t.Context(), ds) {
				if class, _ := destination.ClassOf(r.Err); (r.Err != nil) != (n == 1) || n == 1 && class != destination.Misconfigured {
					t.Errorf("delivery %d: %v, %v", n, class, r.Err)
				}
			}
			if n := len(sqltablestest.Rows(t, f.admin, "terra_data_payloads", "payload_id")); n != 2 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// TestARepeatThatATriggerKeepsOutIsDelivered: PostgreSQL's own trigger keeps out
// what changes nothing, and the rows are there. What is not there, or in a table
// that inherits, is not delivered.
func TestARepeatThatATriggerKeepsOutIsDelivered(t *testing.T) {
	f := farAt(t, servers.StartPostgres(t).DSN)
	f.asCustomer(t, customer{})
	p := f.open(t)
	repeat := destinationtest.Delivery(t, 1, []byte(auth))
	older := destinationtest.Delivery(t, 0, []byte(daily))
	send := func(d destination.Delivery, want string) {
		t.Helper()
		if _, err := p.Send(t.Context(), d); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	for _, table := range tableNames() {
		f.exec(t, "CREATE TRIGGER same BEFORE UPDATE ON "+table+" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()")
	}
	for range 2 {
		send(repeat, "")
		send(older, "")
	}
	f.exec(t, "DELETE FROM terra_data_payloads")
	f.exec(t, does("BEFORE", "BEGIN RETURN NULL; END")...)
	send(repeat, "")
	send(older, "keeps them out")
	f.exec(t, "CREATE TABLE heir () INHERITS (terra_data_payloads)", "INSERT INTO heir SELECT '"+older.Event.ID.String()+"', 'u-1', 'daily', '', ''")
	send(older, "keeps them out")
}
