package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
	"github.com/seed-51f8da91/fantail/test/servers/supabase"
)

const tablesPassword = "secret-of-the-tables"

// admin is a connection of a user who may do everything.
func admin(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(0) // servers are killed
	t.Cleanup(func() { db.Close() })
	return db
}

func runner(t *testing.T, db *sql.DB) func(string) {
	return func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func asItWas(text string) string { return text }

// instant writes a time as a column of the type of times shows it.
func instant(t *testing.T) func(string) string {
	return func(text string) string {
		if text == "" {
			return ""
		}
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return moment(at)
	}
}

func postgresFar(t *testing.T) *tablesFar {
	server := servers.PrivatePostgres(t)
	u, err := url.Parse(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	inside := *u
	inside.RawQuery = "sslmode=disable&search_path=customer"
	db := admin(t, "pgx", inside.String())
	run := runner(t, db)
	run("CREATE ROLE customer LOGIN PASSWORD '" + tablesPassword + "'")
	run("CREATE SCHEMA customer")
	run("GRANT USAGE, CREATE ON SCHEMA customer TO customer")
	far := &tablesFar{server: server, proxy: faults.New(t, u.Host), run: run, written: asItWas,
		revoke: func() { run("REVOKE INSERT ON terra_data_payloads FROM customer") },
		grant:  `GRANT SELECT, INSERT, UPDATE ON TABLE customer.terra_data_payloads TO "customer"`,
	}
	far.settings = fmt.Sprintf("dsn: 'postgres://customer:%s@%s%s?sslmode=require'", tablesPassword, far.proxy.Addr, u.Path)
	far.rows = func() tablesRows { return sqlRows(t, db, "terra_") }
	far.takeAway = func() tablesRows {
		run("BEGIN; ALTER TABLE terra_users RENAME TO gone_users; ALTER TABLE terra_data_payloads RENAME TO gone_data_payloads; ALTER TABLE terra_other_payloads RENAME TO gone_other_payloads; COMMIT")
		lost := sqlRows(t, db, "gone_")
		run("DROP TABLE gone_users, gone_data_payloads, gone_other_payloads")
		return lost
	}
	return far
}

func mysqlFar(t *testing.T) *tablesFar {
	server := servers.PrivateMySQL(t)
	c, err := mysqldriver.ParseDSN(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	runner(t, admin(t, "mysql", server.DSN))("CREATE DATABASE customer")
	c.DBName = "customer"
	db := admin(t, "mysql", c.FormatDSN())
	run := runner(t, db)
	run("CREATE USER customer@'%' IDENTIFIED BY '" + tablesPassword + "'")
	run("GRANT SELECT, INSERT, UPDATE, CREATE ON customer.* TO customer@'%'")
	far := &tablesFar{server: server, proxy: faults.New(t, c.Addr), run: run, written: asItWas,
		revoke: func() {
			run("REVOKE INSERT ON customer.* FROM customer@'%'")
			cutMySQL(t, db) // connections keep the rights to a database that they began with
		},
		grant: "GRANT SELECT, INSERT, UPDATE ON `customer`.* TO `customer`@`%`",
	}
	far.settings = fmt.Sprintf("dsn: 'mysql://customer:%s@%s/customer?ssl-mode=REQUIRED'", tablesPassword, far.proxy.Addr)
	far.rows = func() tablesRows { return sqlRows(t, db, "terra_") }
	far.takeAway = func() tablesRows {
		run("RENAME TABLE terra_users TO gone_users, terra_data_payloads TO gone_data_payloads, terra_other_payloads TO gone_other_payloads")
		lost := sqlRows(t, db, "gone_")
		run("DROP TABLE gone_users, gone_data_payloads, gone_other_payloads")
		return lost
	}
	return far
}

// cutMySQL ends the customer's connections.
func cutMySQL(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, row := range rowsOf(t, db, "SELECT id FROM information_schema.processlist WHERE user = 'customer'") {
		db.ExecContext(context.Background(), "KILL "+row["id"]) // it may have ended by itself
	}
}

func supabaseFar(t *testing.T) *tablesFar {
	server := servers.PrivatePostgres(t)
	p := supabase.On(t, server.DSN)
	gateway, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	db := admin(t, "pgx", server.DSN)
	run := runner(t, db)
	far := &tablesFar{server: server, proxy: faults.New(t, gateway.Host), run: run, written: instant(t),
		revoke: func() { run("REVOKE INSERT ON terra_data_payloads FROM service_role") },
		grant:  "GRANT SELECT, INSERT, UPDATE ON TABLE public.terra_data_payloads TO service_role",
	}
	far.settings = fmt.Sprintf("url: 'http://%s', allow_http: true, service_role_key: '%s', complete: { dsn: '%s' }", far.proxy.Addr, p.Key, server.DSN)
	far.rows = func() tablesRows { return supabaseRows(t, db, p, "terra_") }
	far.takeAway = func() tablesRows {
		// The tables are locked in the order in which a new row and its foreign key lock them.
		run("BEGIN; LOCK TABLE terra_data_payloads, terra_misc_payloads, terra_users IN ACCESS EXCLUSIVE MODE; ALTER TABLE terra_users RENAME TO gone_users; ALTER TABLE terra_data_payloads RENAME TO gone_data_payloads; ALTER TABLE terra_misc_payloads RENAME TO gone_misc_payloads; COMMIT")
		lost := supabaseRows(t, db, p, "gone_")
		run("DROP TABLE gone_data_payloads, gone_misc_payloads, gone_users")
		return lost
	}
	return far
}

// rowsOf returns the rows of a query, without what is NULL.
func rowsOf(t *testing.T, db *sql.DB, query string) (found []map[string]string) {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	for err == nil && rows.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		err = rows.Scan(into...)
		row := map[string]string{}
		for i, v := range values {
			if v.Valid {
				row[strings.ToLower(names[i])] = v.String
			}
		}
		found = append(found, row)
	}
	if err := errors.Join(err, rows.Err()); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return found
}

// sqlRows reads the tables of the kinds postgres and mysql and follows the links.
func sqlRows(t *testing.T, db *sql.DB, brand string) tablesRows {
	t.Helper()
	r := tablesRows{map[string]payloadRow{}, map[string]userText{}}
	add := func(row map[string]string, kind string, data bool) {
		if _, twice := r.payloads[row["payload_id"]]; twice {
			t.Errorf("the row %s is there twice", row["payload_id"])
		}
		r.payloads[row["payload_id"]] = payloadRow{user: row["user_id"], kind: kind, created: row["created_at"], start: row["start_time"], end: row["end_time"],
			data: data, body: []byte(fetched(t, row["payload_url"]))}
	}
	for _, row := range rowsOf(t, db, "SELECT * FROM "+brand+"data_payloads") {
		add(row, row["data_type"], true)
	}
	for _, row := range rowsOf(t, db, "SELECT * FROM "+brand+"other_payloads") {
		add(row, row["payload_type"], false)
	}
	for _, row := range rowsOf(t, db, "SELECT * FROM "+brand+"users") {
		r.users[row["user_id"]] = userOf(row)
	}
	return r
}

func userOf(row map[string]string) userText {
	updated, _, _ := strings.Cut(row["updated_at"], " ")
	return userText{row["reference_id"], row["granted_scopes"], row["provider"], row["state"], row["created_at"], updated}
}

// supabaseRows reads the tables of the kind supabase, and the objects of storage.
func supabaseRows(t *testing.T, db *sql.DB, p *supabase.Project, brand string) tablesRows {
	t.Helper()
	at := instant(t)
	objects := p.Objects("terra-payloads")
	r := tablesRows{map[string]payloadRow{}, map[string]userText{}}
	for table, kind := range map[string]string{"data_payloads": "data_type", "misc_payloads": "payload_type"} {
		for _, row := range rowsOf(t, db, "SELECT * FROM "+brand+table) {
			key := row[kind] + "/" + row["payload_id"] + ".json"
			body, ok := objects[key]
			if !ok {
				t.Errorf("the row %s leads to nothing at %s", row["payload_id"], key)
			}
			r.payloads[row["payload_id"]] = payloadRow{row["user_id"], row[kind], at(row["created_at"]), at(row["start_time"]), at(row["end_time"]), kind == "data_type", body}
		}
	}
	for _, row := range rowsOf(t, db, "SELECT * FROM "+brand+"users WHERE user_id <> ''") {
		row["created_at"] = at(row["created_at"])
		r.users[row["user_id"]] = userOf(row)
	}
	return r
}
