package mysql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// provoked is an error that the server gives when what is in the way was put
// there, and is gone with it.
type provoked struct {
	number int
	server string   // "maria", "mysql"; "": both
	by     []string // $u is the user, $d the database
	undo   []string
	fresh  bool // the user connects anew
	body   string
	class  destination.Class
	says   string
}

// rowOf is an event whose user's row has n bytes at least.
func rowOf(n int) string {
	return authOf("u-1", strings.Repeat("x", n))
}

func provocations() []provoked {
	const held, waits, refused = destination.Misconfigured, destination.Transient, destination.Rejected
	wide := ""
	for n := range 30 {
		wide += fmt.Sprintf(", ADD COLUMN c%d CHAR(200) CHARACTER SET ascii NOT NULL DEFAULT ''", n)
	}
	return []provoked{
		// At the door.
		{number: 1045, fresh: true, by: []string{"ALTER USER $u IDENTIFIED BY 'another'"}, class: held, says: "see that user and password are right"},
		{number: 1045, fresh: true, by: []string{"ALTER USER $u REQUIRE SSL"}, undo: []string{"ALTER USER $u REQUIRE NONE"}, class: held, says: "set tls.mode to verify-full"},
		{number: 1698, server: "maria", fresh: true, by: []string{"ALTER USER $u IDENTIFIED VIA unix_socket"}, undo: []string{"ALTER USER $u IDENTIFIED BY '" + userPassword + "'"}, class: held, says: "user and password"},
		{number: 1820, server: "maria", fresh: true, by: []string{"ALTER USER $u PASSWORD EXPIRE"}, undo: []string{"ALTER USER $u IDENTIFIED BY '" + userPassword + "'"}, class: held, says: "set it anew by ALTER USER"},
		{number: 1862, server: "mysql", fresh: true, by: []string{"ALTER USER $u PASSWORD EXPIRE"}, undo: []string{"ALTER USER $u IDENTIFIED BY '" + userPassword + "'"}, class: held, says: "set it anew by ALTER USER"},
		{number: 3118, server: "mysql", fresh: true, by: []string{"ALTER USER $u ACCOUNT LOCK"}, undo: []string{"ALTER USER $u ACCOUNT UNLOCK"}, class: held, says: "ACCOUNT UNLOCK"},
		{number: 4151, server: "maria", fresh: true, by: []string{"ALTER USER $u ACCOUNT LOCK"}, undo: []string{"ALTER USER $u ACCOUNT UNLOCK"}, class: held, says: "ACCOUNT UNLOCK"},
		{number: 3159, server: "mysql", fresh: true, by: []string{"SET GLOBAL require_secure_transport = ON"}, undo: []string{"SET GLOBAL require_secure_transport = OFF"}, class: held, says: "set tls.mode to verify-full"},
		{number: 1045, server: "maria", fresh: true, by: []string{"SET GLOBAL require_secure_transport = ON"}, undo: []string{"SET GLOBAL require_secure_transport = OFF"}, class: held, says: "set tls.mode to verify-full"},
		{number: 1044, fresh: true, by: []string{"REVOKE ALL PRIVILEGES ON $d.* FROM $u"}, undo: []string{"GRANT SELECT, INSERT, UPDATE, CREATE, ALTER ON $d.* TO $u"}, class: held, says: "GRANT SELECT, INSERT, UPDATE, CREATE, ALTER ON"},
		{number: 1226, fresh: true, by: []string{"ALTER USER $u WITH MAX_QUERIES_PER_HOUR 1"}, undo: []string{"ALTER USER $u WITH MAX_QUERIES_PER_HOUR 0"}, class: waits, says: "limits for the user"},
		{number: 3032, server: "mysql", fresh: true, by: []string{"SET GLOBAL offline_mode = ON"}, undo: []string{"SET GLOBAL offline_mode = OFF"}, class: waits},

		// Rights.
		{number: 1142, fresh: true, by: []string{"REVOKE UPDATE ON $d.* FROM $u"}, undo: []string{"GRANT UPDATE ON $d.* TO $u"}, class: held, says: "run: GRANT SELECT, INSERT, UPDATE ON"},
		{number: 1143, fresh: true, by: []string{"REVOKE UPDATE ON $d.* FROM $u", "GRANT UPDATE (created_at, updated_at) ON $d.terra_users TO $u"}, undo: []string{"REVOKE UPDATE (created_at, updated_at) ON $d.terra_users FROM $u", "GRANT UPDATE ON $d.* TO $u"}, class: held, says: "run: GRANT SELECT, INSERT, UPDATE ON"},
		{number: 1142, by: []string{"CREATE TABLE audit (a INT)", "CREATE USER definer", "CREATE DEFINER = definer TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW INSERT INTO audit VALUES (1)", "GRANT TRIGGER, SELECT, INSERT, UPDATE ON $d.terra_users TO definer"},
			undo: []string{"DROP TRIGGER t", "DROP USER definer", "DROP TABLE audit"}, class: held, says: "a trigger of yours runs as a user who lacks a right"},
		{number: 1370, by: []string{"CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1", "CREATE USER definer", "CREATE DEFINER = definer TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SET @x = f()", "GRANT TRIGGER, SELECT, INSERT, UPDATE ON $d.terra_users TO definer"},
			undo: []string{"DROP TRIGGER t", "DROP USER definer", "DROP FUNCTION f"}, class: held, says: "a trigger of yours runs as a user who lacks a right"},

		// What is not there.
		{number: 1305, by: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SET @x = gone()"}, undo: []string{"DROP TRIGGER t"}, class: held, says: "calls what does not exist"},
		{number: 1449, by: []string{"CREATE USER definer", "CREATE DEFINER = definer TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SET @x = 1", "DROP USER definer"}, undo: []string{"DROP TRIGGER t"}, class: held, says: "a user who does not exist"},
		{number: 1146, by: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW INSERT INTO audit VALUES (1)"}, undo: []string{"DROP TRIGGER t"}, class: held, says: "asks for what does not exist"},
		{number: 1054, by: []string{"CREATE TABLE audit (a INT)", "CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW INSERT INTO audit (b) VALUES (1)"}, undo: []string{"DROP TRIGGER t", "DROP TABLE audit"}, class: held, says: "asks for what does not exist"},

		// What tables are like.
		{number: 1348, server: "mysql", by: []string{"RENAME TABLE terra_users TO people", "CREATE VIEW terra_users AS SELECT user_id, reference_id, created_at, granted_scopes, provider, UPPER(state) AS state, updated_at, reference_id_at, granted_scopes_at, provider_at, state_at FROM people"},
			undo: []string{"DROP VIEW terra_users", "RENAME TABLE people TO terra_users"}, class: held, says: "is a view"},
		{number: 1471, by: []string{"RENAME TABLE terra_users TO people", "CREATE VIEW terra_users AS SELECT DISTINCT * FROM people"}, undo: []string{"DROP VIEW terra_users", "RENAME TABLE people TO terra_users"}, class: held, says: "is a view"},
		{number: 1369, by: []string{"RENAME TABLE terra_users TO people", "CREATE VIEW terra_users AS SELECT * FROM people WHERE provider = 'x' WITH CHECK OPTION"}, undo: []string{"DROP VIEW terra_users", "RENAME TABLE people TO terra_users"}, class: held, says: "is a view"},
		{number: 1356, by: []string{"RENAME TABLE terra_users TO people", "CREATE VIEW terra_users AS SELECT * FROM people", "RENAME TABLE people TO persons"}, undo: []string{"DROP VIEW terra_users", "RENAME TABLE persons TO terra_users"}, class: held, says: "leads to what does not exist"},
		{number: 1526, by: []string{"ALTER TABLE terra_users PARTITION BY RANGE COLUMNS (user_id) (PARTITION p VALUES LESS THAN ('t'))"}, undo: []string{"ALTER TABLE terra_users REMOVE PARTITIONING"}, class: held, says: "REMOVE PARTITIONING"},
		{number: 3750, server: "mysql", fresh: true, by: []string{"ALTER TABLE terra_data_payloads DROP PRIMARY KEY, DROP COLUMN payload_id", "SET GLOBAL sql_require_primary_key = ON"},
			undo: []string{"SET GLOBAL sql_require_primary_key = OFF", "DROP TABLE terra_data_payloads"}, class: held, says: "ALTER TABLE `terra_data_payloads` ADD COLUMN fantail_row BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY"},
		{number: 1173, server: "maria", fresh: true, by: []string{"ALTER TABLE terra_data_payloads DROP PRIMARY KEY, DROP COLUMN payload_id", "SET GLOBAL innodb_force_primary_key = ON"},
			undo: []string{"SET GLOBAL innodb_force_primary_key = OFF", "DROP TABLE terra_data_payloads"}, class: held, says: "AUTO_INCREMENT PRIMARY KEY"},
		{number: 1364, by: []string{"ALTER TABLE terra_users ADD COLUMN mine INT NOT NULL"}, undo: []string{"ALTER TABLE terra_users DROP COLUMN mine"}, class: held, says: "MODIFY `mine` int"},
		{number: 1364, by: []string{"CREATE TABLE audit (a INT NOT NULL, b INT)", "CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW INSERT INTO audit (b) VALUES (1)"}, undo: []string{"DROP TRIGGER t", "DROP TABLE audit"}, class: held, says: "a trigger of yours"},
		{number: 1906, server: "maria", by: []string{"ALTER TABLE terra_users DROP COLUMN state, ADD COLUMN state VARCHAR(20) AS (provider) VIRTUAL"}, undo: []string{"ALTER TABLE terra_users DROP COLUMN state, ADD COLUMN state VARCHAR(20)"}, class: held, says: "DROP COLUMN `state`"},
		{number: 3105, server: "mysql", by: []string{"ALTER TABLE terra_users DROP COLUMN state, ADD COLUMN state VARCHAR(20) AS (provider) VIRTUAL"}, undo: []string{"ALTER TABLE terra_users DROP COLUMN state, ADD COLUMN state VARCHAR(20)"}, class: held, says: "DROP COLUMN `state`"},
		{number: 4078, server: "maria", by: []string{"DELETE FROM terra_users", "ALTER TABLE terra_users MODIFY created_at UUID NOT NULL"}, undo: []string{"ALTER TABLE terra_users MODIFY created_at TEXT NOT NULL"}, class: held, says: "MODIFY `created_at` TEXT NOT NULL"},
		{number: 1442, by: []string{"CREATE TRIGGER t AFTER INSERT ON terra_users FOR EACH ROW DELETE FROM terra_users"}, undo: []string{"DROP TRIGGER t"}, class: held, says: "drop it"},
		{number: 3989, server: "mysql", by: []string{"ALTER DATABASE $d READ ONLY = 1"}, undo: []string{"ALTER DATABASE $d READ ONLY = 0"}, class: held, says: "READ ONLY = 0"},

		// What refuses a row.
		{number: 1048, by: []string{"ALTER TABLE terra_users MODIFY granted_scopes TEXT NOT NULL"}, undo: []string{"ALTER TABLE terra_users MODIFY granted_scopes TEXT"}, class: held, says: "MODIFY `granted_scopes` text"},
		{number: 1264, by: []string{"ALTER TABLE terra_users MODIFY reference_id TINYINT"}, undo: []string{"ALTER TABLE terra_users MODIFY reference_id TEXT"}, body: authOf("u-1", "1000"), class: held, says: "MODIFY `reference_id` TEXT"},
		{number: 1265, by: []string{"ALTER TABLE terra_users MODIFY reference_id ENUM('x')"}, undo: []string{"ALTER TABLE terra_users MODIFY reference_id TEXT"}, class: held, says: "MODIFY `reference_id` TEXT"},
		{number: 1292, by: []string{"ALTER TABLE terra_users MODIFY reference_id DATETIME"}, undo: []string{"ALTER TABLE terra_users MODIFY reference_id TEXT"}, class: held, says: "MODIFY `reference_id` TEXT"},
		{number: 1366, by: []string{"ALTER TABLE terra_users MODIFY reference_id TEXT CHARACTER SET latin1"}, undo: []string{"ALTER TABLE terra_users MODIFY reference_id TEXT CHARACTER SET utf8mb4"}, body: authOf("u-1", "日"), class: held, says: "MODIFY `reference_id` text CHARACTER SET utf8mb4"},
		{number: 1406, by: []string{"ALTER TABLE terra_users MODIFY updated_at VARCHAR(30)"}, undo: []string{"ALTER TABLE terra_users MODIFY updated_at VARCHAR(80)"}, class: held, says: "MODIFY `updated_at` VARCHAR(80)"},
		{number: 1406, body: rowOf(70_000), class: refused},
		{number: 1062, by: []string{"ALTER TABLE terra_users ADD UNIQUE KEY p (provider(9))", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('z', '', 'FITBIT'), ('u-1', '', '')"},
			undo: []string{"ALTER TABLE terra_users DROP KEY p", "DELETE FROM terra_users"}, class: refused, says: "DROP INDEX `p`"},
		{number: 1690, by: []string{"ALTER TABLE terra_users ADD UNIQUE KEY p (provider(9))", "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('z', '', 'FITBIT')"},
			undo: []string{"ALTER TABLE terra_users DROP KEY p", "DELETE FROM terra_users"}, class: refused, says: "DROP INDEX `p`"},
		{number: 3819, server: "mysql", by: []string{"ALTER TABLE terra_users ADD CONSTRAINT c CHECK (provider = 'x')"}, undo: []string{"ALTER TABLE terra_users DROP CONSTRAINT c"}, class: refused, says: "DROP CONSTRAINT `c`"},
		{number: 4025, server: "maria", by: []string{"ALTER TABLE terra_users ADD CONSTRAINT c CHECK (provider = 'x')"}, undo: []string{"ALTER TABLE terra_users DROP CONSTRAINT c"}, class: refused, says: "DROP CONSTRAINT `c`"},
		{number: 1118, by: []string{"SET SESSION innodb_strict_mode = OFF", "ALTER TABLE terra_users ROW_FORMAT=COMPACT" + wide}, undo: []string{"DROP TABLE terra_users", "SET SESSION innodb_strict_mode = ON"},
			body: `{"type":"auth","user":{"user_id":"u-1","reference_id":"` + strings.Repeat("r", 900) + `","provider":"` + strings.Repeat("p", 900) + `","scopes":"` + strings.Repeat("s", 900) + `"}}`, class: refused, says: "ROW_FORMAT=DYNAMIC"},
		{number: 1153, fresh: true, by: []string{"SET GLOBAL max_allowed_packet = 16384"}, undo: []string{"SET GLOBAL max_allowed_packet = 16777216"}, body: rowOf(30_000), class: refused, says: "max_allowed_packet"},
		{number: 1452, by: []string{"CREATE TABLE companies (id INT PRIMARY KEY)", "ALTER TABLE terra_users ADD COLUMN company INT NOT NULL DEFAULT 7, ADD CONSTRAINT c FOREIGN KEY (company) REFERENCES companies (id)"},
			undo: []string{"ALTER TABLE terra_users DROP FOREIGN KEY c, DROP COLUMN company", "DROP TABLE companies"}, class: waits, says: "DROP FOREIGN KEY `c`"},
		{number: 1644, by: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SIGNAL SQLSTATE '45000'"}, undo: []string{"DROP TRIGGER t"}, class: waits, says: "a trigger of yours refuses the row"},
		{number: 60000, by: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SIGNAL SQLSTATE '22999' SET MYSQL_ERRNO = 60000"}, undo: []string{"DROP TRIGGER t"}, class: refused},
		{number: 60000, by: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SIGNAL SQLSTATE '42999' SET MYSQL_ERRNO = 60000"}, undo: []string{"DROP TRIGGER t"}, class: held},
		{number: 60000, by: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 60000"}, undo: []string{"DROP TRIGGER t"}, class: waits},

		// What ends by itself.
		{number: 1290, fresh: true, by: []string{"SET GLOBAL read_only = ON"}, undo: []string{"SET GLOBAL read_only = OFF"}, class: waits, says: "takes no writes"},
		{number: 1792, fresh: true, by: []string{"SET GLOBAL $readonly = ON"}, undo: []string{"SET GLOBAL $readonly = OFF"}, class: waits, says: "takes no writes"},
		{number: 1969, server: "maria", fresh: true, by: []string{"SET GLOBAL max_statement_time = 0.05", "CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW DO SLEEP(5)"}, undo: []string{"DROP TRIGGER t", "SET GLOBAL max_statement_time = 0"}, class: waits},
	}
}

// TestEachNumberIsToldByTheServer provokes them on a server, one after the other,
// with a destination that has delivered before, and delivers when all is as it was.
func TestEachNumberIsToldByTheServer(t *testing.T) {
	_, f := private(t)
	maria := f.maria(t)
	readonly := map[bool]string{true: "tx_read_only", false: "transaction_read_only"}[maria]
	admin, err := f.admin.Conn(t.Context()) // kept: some settings let nobody else in
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	run := func(t *testing.T, statements []string) {
		t.Helper()
		for _, s := range statements {
			if _, err := admin.ExecContext(t.Context(), strings.NewReplacer("$u", f.user, "$d", quoted(f.database), "$readonly", readonly).Replace(s)); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	for _, p := range provocations() {
		if p.server != "" && (p.server == "maria") != maria {
			continue
		}
		name := fmt.Sprint(p.number)
		t.Run(name, func(t *testing.T) {
			m := f.open(t)
			if _, err := m.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(workout))); err != nil {
				t.Fatal(err)
			}
			f.exec(t, "DELETE FROM terra_users", "DELETE FROM terra_data_payloads")
			run(t, p.by)
			body := p.body
			if body == "" {
				body = workout
			}
			if p.fresh {
				m = f.open(t)
			}
			r, err := m.Send(t.Context(), destinationtest.Delivery(t, 2, []byte(body)))
			class, _ := destination.ClassOf(err)
			told := r.Code == p.number || strings.Contains(fmt.Sprint(err), fmt.Sprintf("answered %d", p.number))
			if err == nil || !told || class != p.class || !strings.Contains(err.Error(), p.says) {
				t.Errorf("%d, %v: %v; want %v: %s", r.Code, class, err, p.class, p.says)
			}
			run(t, p.undo)
			f.exec(t, "ALTER USER "+f.user+" IDENTIFIED BY '"+userPassword+"'")
			if _, err := f.open(t).Send(t.Context(), destinationtest.Delivery(t, 3, []byte(workout))); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
