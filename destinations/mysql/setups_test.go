package mysql

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// The vendor's own tables, in the character set of %s.
var vendors = []string{
	"CREATE TABLE terra_users (user_id VARCHAR(36) PRIMARY KEY, reference_id TEXT, created_at TEXT NOT NULL, granted_scopes TEXT, provider TEXT NOT NULL, state VARCHAR(20)) DEFAULT CHARSET=%s",
	"CREATE TABLE terra_data_payloads (user_id VARCHAR(36) NOT NULL, data_type TEXT NOT NULL, created_at TEXT NOT NULL, payload_url TEXT NOT NULL, start_time TEXT, end_time TEXT) DEFAULT CHARSET=%s",
	"CREATE TABLE terra_other_payloads (user_id VARCHAR(36) NOT NULL, data_type TEXT, payload_type TEXT, created_at TEXT NOT NULL, payload_url TEXT NOT NULL) DEFAULT CHARSET=%s",
}

func vendorsIn(charset string) (all []string) {
	for _, s := range vendors {
		all = append(all, fmt.Sprintf(s, charset))
	}
	return all
}

// ours are our tables, each changed as a customer may have done.
func (f *far) ours(tb testing.TB, changes ...string) {
	tb.Helper()
	for _, t := range sqltables.Of("terra").All() {
		f.exec(tb, createTable(t, f.exact(tb)))
	}
	f.exec(tb, changes...)
}

// customer is a database as some customer has it.
type customer struct {
	name    string
	server  string   // "maria", "mysql"; "": both
	with    []string // run after our tables were made
	prepare func(testing.TB, *far)
	lately  []string // run when the destination has already delivered
	change  func(*Config)
	check   destinationtest.Verdict
	send    destinationtest.Verdict
	bodies  []string
	rows    string // a query that counts what must be there in the end
	unseen  string

	stays bool // there is no SQL that mends it

	maria *destinationtest.Verdict // of the check of MariaDB, where it is another
}

// triggers are seen by all in MariaDB, and in MySQL by those with the right.
var triggers = noted("triggers of yours may refuse or change rows of terra_users: t")

// seen is what the check of MariaDB says of the trigger t of a table.
func seen(table string) *destinationtest.Verdict {
	v := noted("triggers of yours may refuse or change rows of " + table + ": t")
	return &v
}

func noted(says ...string) destinationtest.Verdict {
	return destinationtest.Verdict{Is: destinationtest.Noted, Says: says}
}
func held(says ...string) destinationtest.Verdict {
	return destinationtest.Verdict{Is: destinationtest.Held, Says: says}
}
func refused(says ...string) destinationtest.Verdict {
	return destinationtest.Verdict{Is: destinationtest.Refused, Says: says}
}
func retried(says ...string) destinationtest.Verdict {
	return destinationtest.Verdict{Is: destinationtest.Retried, Says: says}
}

// events of one user each.
func authOf(user, reference string) string {
	return fmt.Sprintf(`{"type":"auth","status":"success","user":{"user_id":"%s","provider":"FITBIT","reference_id":"%s"}}`, user, reference)
}

const (
	workout = `{"type":"daily","version":"2022-03-16","user":{"user_id":"u-1","provider":"FITBIT","reference_id":"r-1"},"data":[{"metadata":{"start_time":"2026-03-12T00:00:00+01:00"}}]}`
	deauth  = `{"type":"deauth","user":{"user_id":"u-1","provider":"FITBIT"}}`
	another = "INSERT INTO terra_users (user_id, reference_id, created_at, provider, state) VALUES ('other', 'r-1', '2020', 'OTHER', 'active')"
	isThere = "SELECT COUNT(*) = 1 FROM terra_users WHERE user_id = 'other' AND reference_id = 'r-1' AND created_at = '2020' AND provider = 'OTHER' AND updated_at IS NULL"
	oldLink = "INSERT INTO terra_data_payloads (payload_id, user_id, data_type, created_at, payload_url, start_time) VALUES ('old', 'u-1', 'daily', '2020', 'https://old', '2026-03-12T00:00:00+01:00')"
	linkIs  = "SELECT COUNT(*) = 1 FROM terra_data_payloads WHERE payload_id = 'old' AND payload_url = 'https://old'"
	some    = "it refuses some events alone, and says so"
	noRight = "MySQL shows triggers to those alone who have the right TRIGGER"
)

// customers are the set-ups that this kind answers for.
func customers() []customer {
	return []customer{
		{name: "nothing yet"},
		{name: "our tables", with: []string{}},
		{name: "the vendor's own tables", prepare: func(tb testing.TB, f *far) { f.exec(tb, vendorsIn("utf8mb4")...) },
			check: noted("user_id takes different users for one", "MODIFY user_id VARCHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_")},
		{name: "the vendor's own tables in latin1", prepare: func(tb testing.TB, f *far) { f.exec(tb, vendorsIn("latin1")...) },
			check: noted("reference_id, granted_scopes, provider have the character set latin1", "MODIFY `reference_id` text CHARACTER SET utf8mb4")},
		{name: "latin1 and a Japanese reference", prepare: func(tb testing.TB, f *far) { f.exec(tb, vendorsIn("latin1")...) },
			check: noted("latin1"), send: held("1366", "MODIFY `reference_id` text CHARACTER SET utf8mb4"), bodies: []string{authOf("u-1", "日本")}, unseen: some},
		{name: "utf8mb3 and an emoji", prepare: func(tb testing.TB, f *far) { f.exec(tb, vendorsIn("utf8mb3")...) },
			check: noted("utf8mb3"), send: held("1366", "MODIFY `reference_id` text CHARACTER SET utf8mb4"), bodies: []string{authOf("u-1", "😀")}, unseen: some},

		{name: "tables of before, which pad", prepare: padded, check: noted("utf8mb4_bin, which takes no account of spaces", "ALTER TABLE `terra_data_payloads` MODIFY user_id")},
		{name: "tables of before, and two users that differ in a space", prepare: func(tb testing.TB, f *far) { padded(tb, f); f.exec(tb, another) },
			check: noted("spaces"), send: refused("another row of terra_users is in the way", "MODIFY user_id"), bodies: []string{authOf("other ", "r-2")}, rows: isThere},
		{name: "new tables, and two users that differ in a space", with: []string{another}, bodies: []string{authOf("other ", "r-2"), authOf("OTHER", "r-3")}, rows: isThere},
		{name: "a collation that knows no case", with: []string{"ALTER TABLE terra_users MODIFY user_id VARCHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL", another},
			check: noted("utf8mb4_general_ci"), send: refused("another row", "MODIFY user_id"), bodies: []string{authOf("Other", "r-2")}, rows: isThere},
		{name: "CHAR for users", with: []string{"ALTER TABLE terra_users MODIFY user_id CHAR(36) NOT NULL"}, check: noted("char(36), which forgets spaces")},
		{name: "CHAR, and two users that differ in a space", with: []string{"ALTER TABLE terra_users MODIFY user_id CHAR(36) NOT NULL", another},
			check: noted("char(36)"), send: refused("ends in a space", "MODIFY user_id VARCHAR(36)"), bodies: []string{authOf("other ", "r-2")}, rows: isThere},
		{name: "numbers for users", with: []string{"ALTER TABLE terra_users MODIFY user_id INT NOT NULL"}, check: held("holds no text", "MODIFY `user_id` VARCHAR(36)"), send: held("MODIFY `user_id` VARCHAR(36)"),
			bodies: []string{authOf("7", "r"), authOf("007", "r")}, rows: "SELECT COUNT(*) = 0 FROM terra_users"},
		{name: "bytes for users", with: []string{"ALTER TABLE terra_users MODIFY user_id VARBINARY(144) NOT NULL", another}, bodies: []string{authOf("other ", "r-2"), authOf("日本", "r-3")}, rows: isThere},

		{name: "a unique reference", with: []string{"ALTER TABLE terra_users ADD UNIQUE KEY one_each (reference_id(100))", another},
			check: noted("one_each (reference_id(100))", "ALTER TABLE `terra_users` DROP INDEX `one_each`"), send: refused("another row of terra_users", "one_each", "DROP INDEX `one_each`"),
			bodies: []string{authOf("u-1", "r-1"), workout}, rows: isThere},
		{name: "a unique reference, added lately", lately: []string{"DELETE FROM terra_users", another, "ALTER TABLE terra_users ADD UNIQUE KEY one_each (reference_id(100))"},
			check: noted("one_each"), send: refused("another row of terra_users", "one_each"), bodies: []string{authOf("u-1", "r-1"), workout}, rows: isThere},
		{name: "a user takes the reference of another", with: []string{"ALTER TABLE terra_users ADD UNIQUE KEY one_each (reference_id(100))", another, "INSERT INTO terra_users (user_id, created_at, provider) VALUES ('u-1', '2020', 'P')"},
			check: noted("one_each"), send: refused("1062", "DROP INDEX `one_each`"), bodies: []string{authOf("u-1", "r-1")}, rows: isThere},
		{name: "one payload a day", with: []string{"ALTER TABLE terra_data_payloads ADD UNIQUE KEY a_day (user_id, data_type(40), start_time(40))", oldLink},
			check: noted("a_day (user_id, data_type(40), start_time(40))"), send: refused("another row of terra_data_payloads", "DROP INDEX `a_day`"), bodies: []string{workout}, rows: linkIs},
		{name: "one payload a day, added lately", lately: []string{"DELETE FROM terra_data_payloads", "ALTER TABLE terra_data_payloads ADD UNIQUE KEY a_day (user_id, data_type(40), start_time(40))", oldLink},
			check: noted("a_day"), send: refused("another row", "a_day"), bodies: []string{workout}, rows: linkIs},
		{name: "a row of nobody in the way", prepare: func(tb testing.TB, f *far) {
			f.ours(tb, "ALTER TABLE terra_data_payloads DROP PRIMARY KEY, MODIFY payload_id VARCHAR(80) NULL, MODIFY payload_url TEXT NULL, ADD UNIQUE KEY (payload_id), ADD UNIQUE KEY a_day (user_id, data_type(40))", oldLink, "UPDATE terra_data_payloads SET payload_id = NULL")
		}, check: noted("a_day"), send: refused("another row", "a_day"), bodies: []string{workout}, rows: "SELECT COUNT(*) = 1 FROM terra_data_payloads WHERE payload_id IS NULL AND payload_url = 'https://old'"},
		{name: "a key of the first characters", with: []string{"ALTER TABLE terra_users DROP PRIMARY KEY, ADD UNIQUE KEY short (user_id(4))", another},
			check: noted("short (user_id(4))"), send: refused("another row", "DROP INDEX `short`"), bodies: []string{authOf("otherwise", "r-2")}, rows: isThere},
		{name: "keys that meet no other row", with: []string{"ALTER TABLE terra_users ADD COLUMN theirs INT NULL UNIQUE, ADD UNIQUE KEY both_of (user_id, reference_id(20))"}},
		{name: "an id that counts", prepare: func(tb testing.TB, f *far) {
			f.ours(tb, "ALTER TABLE terra_data_payloads DROP PRIMARY KEY, ADD COLUMN id INT NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST, ADD UNIQUE KEY (payload_id)")
		}},

		{name: "no room for links", with: []string{"ALTER TABLE terra_data_payloads MODIFY payload_url VARCHAR(255) NOT NULL"},
			check: held("payload_url is varchar(255)", "MODIFY `payload_url` TEXT NOT NULL"), send: held("1406", "MODIFY `payload_url` TEXT NOT NULL"), bodies: []string{workout}},
		{name: "no room for other links", with: []string{"ALTER TABLE terra_other_payloads MODIFY payload_url VARCHAR(255) NOT NULL"},
			check: held("terra_other_payloads payload_url"), send: held("1406", "MODIFY `payload_url`"), bodies: []string{deauth}},
		{name: "short references, and a long one", with: []string{"ALTER TABLE terra_users MODIFY reference_id VARCHAR(8)"},
			send: refused("1406", "reference_id of terra_users is varchar(8)", "MODIFY reference_id TEXT"), bodies: []string{authOf("u-1", "123456789")}},
		{name: "numbers for references", with: []string{"ALTER TABLE terra_users MODIFY reference_id INT"}, check: held("reference_id is int", "MODIFY `reference_id` TEXT"), send: held("MODIFY `reference_id` TEXT"), bodies: []string{authOf("u-1", "r-1")}},
		{name: "a time of acceptance", with: []string{"ALTER TABLE terra_users MODIFY created_at DATETIME NOT NULL"}, check: held("created_at is datetime", "MODIFY `created_at` TEXT NOT NULL"), send: held("MODIFY `created_at` TEXT NOT NULL"), bodies: []string{workout}},
		{name: "a list of states", with: []string{"ALTER TABLE terra_users MODIFY state ENUM('active', 'auth_error')"}, check: noted("state is enum", "MODIFY `state` VARCHAR(20)"),
			send: held("1265", "MODIFY `state` VARCHAR(20)"), bodies: []string{deauth}, unseen: some},
		{name: "scopes in JSON", server: "mysql", with: []string{"ALTER TABLE terra_users MODIFY granted_scopes JSON"}, check: held("granted_scopes is json"), send: held("MODIFY `granted_scopes` TEXT"),
			bodies: []string{`{"type":"auth","user":{"user_id":"u","scopes":"a,b"}}`}},
		{name: "scopes in MariaDB's JSON", server: "maria", with: []string{"ALTER TABLE terra_users MODIFY granted_scopes JSON"}, check: noted("constraints of yours", "granted_scopes"), send: held("4025", "MODIFY `granted_scopes` TEXT"),
			bodies: []string{`{"type":"auth","user":{"user_id":"u","scopes":"a,b"}}`}, unseen: some},
		{name: "a constraint", with: []string{"ALTER TABLE terra_users ADD CONSTRAINT garmin CHECK (provider = 'GARMIN')"}, check: noted("constraints of yours", "garmin"), send: refused("if that is not meant", "ALTER TABLE `terra_users` DROP CONSTRAINT `garmin`"), bodies: []string{workout}},
		{name: "a constraint of what we fill", with: []string{"ALTER TABLE terra_data_payloads ADD CONSTRAINT types CHECK (data_type IN ('sleep'))"}, check: noted("constraints of yours", "types"), send: held("ALTER TABLE `terra_data_payloads` DROP CONSTRAINT `types`"), bodies: []string{workout}, unseen: some},
		{name: "a constraint of what we fill and of users", with: []string{"ALTER TABLE terra_data_payloads ADD CONSTRAINT both_of CHECK (data_type = 'sleep' OR user_id = '')"}, check: noted("constraints of yours", "both_of"), send: refused("DROP CONSTRAINT `both_of`"), bodies: []string{workout}},
		{name: "a constraint of a column of events", server: "maria", with: []string{"ALTER TABLE terra_users MODIFY provider TEXT NOT NULL CHECK (provider = 'GARMIN')"}, check: noted("constraints of yours", "provider"), send: refused("4025", "MODIFY `provider` TEXT"), bodies: []string{workout}},
		{name: "an end that must be", with: []string{"ALTER TABLE terra_data_payloads MODIFY end_time VARCHAR(40) NOT NULL"}, check: held("end_time takes no NULL", " NULL"), send: held("1048", "MODIFY `end_time` varchar(40)"), bodies: []string{workout}},
		{name: "a column that must be", with: []string{"ALTER TABLE terra_users ADD COLUMN company VARCHAR(20) NOT NULL"}, check: held("company is yours", "MODIFY `company` varchar(20)"), send: held("1364", "MODIFY `company` varchar(20)"), bodies: []string{workout}},
		{name: "a column of theirs with a default", with: []string{"ALTER TABLE terra_users ADD COLUMN company VARCHAR(20) NOT NULL DEFAULT 'x', ADD COLUMN plan ENUM('a','b') NOT NULL, ADD COLUMN seen TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP"}},
		{name: "an id of theirs that does not count", prepare: func(tb testing.TB, f *far) {
			f.ours(tb, "ALTER TABLE terra_data_payloads DROP PRIMARY KEY, ADD COLUMN id INT NOT NULL PRIMARY KEY FIRST, ADD UNIQUE KEY (payload_id)")
		}, check: held("MODIFY `id` int", "AUTO_INCREMENT"), send: held("1364", "AUTO_INCREMENT"), bodies: []string{workout}},
		{name: "a generated column", with: []string{"ALTER TABLE terra_users DROP COLUMN state, ADD COLUMN state VARCHAR(20) AS (provider)"}, check: held("state is generated", "DROP COLUMN `state`, ADD COLUMN `state` VARCHAR(20)"), send: held("state is generated"), bodies: []string{workout}},

		{name: "MyISAM", with: []string{"ALTER TABLE terra_users ENGINE=MyISAM", "ALTER TABLE terra_data_payloads ENGINE=MyISAM"}, check: noted("MyISAM, which knows no transactions", "ALTER TABLE `terra_users` ENGINE=InnoDB")},
		{name: "an engine that keeps nothing", server: "mysql", with: []string{"ALTER TABLE terra_data_payloads ENGINE=BLACKHOLE"}, check: held("keeps nothing"), send: held("ENGINE=InnoDB")},
		{name: "versions of rows", server: "maria", with: []string{"ALTER TABLE terra_users ADD SYSTEM VERSIONING"}},
		{name: "partitions by our key", with: []string{"ALTER TABLE terra_users PARTITION BY KEY (user_id) PARTITIONS 4"}},
		{name: "partitions by something else", prepare: func(tb testing.TB, f *far) {
			f.exec(tb, "CREATE TABLE terra_data_payloads (user_id VARCHAR(36) NOT NULL, data_type TEXT NOT NULL, created_at VARCHAR(40) NOT NULL, payload_url TEXT NOT NULL, start_time TEXT, end_time TEXT) DEFAULT CHARSET=utf8mb4 PARTITION BY KEY (created_at) PARTITIONS 4")
		}, check: held("ALTER TABLE `terra_data_payloads` REMOVE PARTITIONING"), send: held("REMOVE PARTITIONING")},
		{name: "a partition too few", with: []string{"ALTER TABLE terra_users PARTITION BY RANGE COLUMNS (user_id) (PARTITION p VALUES LESS THAN ('t'))"}, send: held("1526", "ALTER TABLE `terra_users` REMOVE PARTITIONING"), bodies: []string{workout},
			unseen: "which rows partitions take is told by expressions alone"},
		{name: "a view", stays: true, prepare: func(tb testing.TB, f *far) {
			f.ours(tb, "RENAME TABLE terra_users TO people", "CREATE VIEW terra_users AS SELECT * FROM people")
		}, check: held("terra_users is no table"), send: held("terra_users is no table")},
		{name: "a view, made lately", stays: true, lately: []string{"RENAME TABLE terra_users TO people", "CREATE VIEW terra_users AS SELECT user_id, provider FROM people"}, check: held("no table"), send: held("no table"), bodies: []string{workout}},
		{name: "a key that stands twice", stays: true, prepare: func(tb testing.TB, f *far) {
			f.ours(tb, "ALTER TABLE terra_users DROP PRIMARY KEY", another, another)
		}, send: held("1062", "ADD UNIQUE KEY fantail_user_id"), unseen: "nobody but an index could find it without reading the whole table"},
		{name: "long ids without a key", server: "mysql", prepare: func(tb testing.TB, f *far) {
			f.ours(tb, "ALTER TABLE terra_users DROP PRIMARY KEY, MODIFY user_id TEXT NOT NULL")
		}, check: held("MODIFY user_id VARCHAR(36)"), send: held("MODIFY user_id VARCHAR(36)")},

		{name: "a foreign key to accounts", with: []string{"CREATE TABLE accounts (id VARCHAR(36) CHARACTER SET utf8mb4 PRIMARY KEY)", "ALTER TABLE accounts MODIFY id VARCHAR(36) CHARACTER SET utf8mb4 COLLATE %exact% NOT NULL",
			"ALTER TABLE terra_users ADD CONSTRAINT account FOREIGN KEY (user_id) REFERENCES accounts (id)"}, check: noted("terra_users.user_id references accounts"), send: retried("1452", "DROP FOREIGN KEY `account`"), bodies: []string{workout}},
		{name: "payloads of users", with: []string{"ALTER TABLE terra_data_payloads ADD CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES terra_users (user_id)"}, check: noted("of_user"), bodies: []string{workout, deauth}},

		{name: "a trigger that refuses", stays: true, with: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not today'"}, send: retried("1644", "not today", "a trigger of yours"), bodies: []string{workout}, maria: &triggers},
		{name: "a trigger that asks for what is gone", stays: true, with: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW INSERT INTO audit VALUES (1)"}, send: held("1146", "a trigger of yours asks for what does not exist"), bodies: []string{workout}, unseen: noRight, maria: &triggers},
		{name: "a trigger that changes its own table", stays: true, with: []string{"CREATE TRIGGER t AFTER INSERT ON terra_users FOR EACH ROW UPDATE terra_users SET provider = 'x'"}, send: held("1442", "drop it"), bodies: []string{workout}, unseen: noRight, maria: &triggers},
		{name: "a trigger that may be seen", with: []string{"CREATE TRIGGER seen BEFORE INSERT ON terra_users FOR EACH ROW SET NEW.provider = 'x'"}, prepare: func(tb testing.TB, f *far) { f.grant(tb, "TRIGGER") }, check: noted("triggers of yours", "seen")},

		{name: "a trigger that copies links", stays: true, with: []string{"CREATE TABLE audit (payload_url VARCHAR(20))", "CREATE TRIGGER t AFTER INSERT ON terra_data_payloads FOR EACH ROW INSERT INTO audit VALUES (NEW.payload_url)"},
			send: held("1406", "a trigger of yours"), bodies: []string{workout}, unseen: noRight, maria: seen("terra_data_payloads")},
		{name: "a trigger that counts links", stays: true, with: []string{"CREATE TABLE audit (x INT)", "CREATE TRIGGER t AFTER INSERT ON terra_data_payloads FOR EACH ROW INSERT INTO audit VALUES (NEW.payload_url)"},
			send: held("1366", "a trigger of yours"), bodies: []string{workout}, unseen: noRight, maria: seen("terra_data_payloads")},
		{name: "a trigger that copies users", stays: true, with: []string{"CREATE TABLE audit (user_id VARCHAR(36) PRIMARY KEY)", "INSERT INTO audit VALUES ('u-1')", "CREATE TRIGGER t AFTER INSERT ON terra_data_payloads FOR EACH ROW INSERT INTO audit VALUES (NEW.user_id)"},
			send: held("1062", "a trigger of yours"), bodies: []string{workout}, unseen: noRight, maria: seen("terra_data_payloads")},
		{name: "a trigger that copies ends", stays: true, with: []string{"CREATE TABLE audit (x TEXT NOT NULL)", "CREATE TRIGGER t AFTER INSERT ON terra_data_payloads FOR EACH ROW INSERT INTO audit VALUES (NEW.end_time)"},
			send: held("1048", "a trigger of yours"), bodies: []string{workout}, unseen: noRight, maria: seen("terra_data_payloads")},
		{name: "a trigger that reckons", stays: true, with: []string{"CREATE TRIGGER t BEFORE INSERT ON terra_data_payloads FOR EACH ROW SET @x = LENGTH(NEW.user_id) - ~0"},
			send: held("1690", "a trigger"), bodies: []string{workout}, unseen: noRight, maria: seen("terra_data_payloads")},
		{name: "a trigger that copies to where a constraint is", stays: true, with: []string{"CREATE TABLE audit (x TEXT, CONSTRAINT c CHECK (x = 'x'))", "CREATE TRIGGER t AFTER INSERT ON terra_data_payloads FOR EACH ROW INSERT INTO audit VALUES (NEW.user_id)"},
			send: held("a trigger of yours"), bodies: []string{workout}, unseen: noRight, maria: seen("terra_data_payloads")},
		{name: "a column made of our links", with: []string{"ALTER TABLE terra_data_payloads ADD COLUMN low VARCHAR(10) AS (payload_url) STORED"},
			send: held("1406", "DROP COLUMN `low`"), bodies: []string{workout}, unseen: "no plan runs an expression"},
		{name: "a column made of times", with: []string{"ALTER TABLE terra_data_payloads ADD COLUMN day VARCHAR(10) AS (start_time) STORED"},
			send: held("1406", "DROP COLUMN `day`"), bodies: []string{workout}, unseen: "no plan runs an expression"},
		{name: "a column made of references", stays: true, with: []string{"ALTER TABLE terra_users ADD COLUMN low VARCHAR(1) AS (reference_id) STORED"},
			send: refused("1406"), bodies: []string{authOf("u-1", "r-1")}},
		{name: "a count that is at its end", server: "maria", with: []string{"ALTER TABLE terra_data_payloads ADD COLUMN n TINYINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE, AUTO_INCREMENT = 256"},
			send: held("n of terra_data_payloads is at its end", "BIGINT UNSIGNED"), bodies: []string{workout}, unseen: "no plan counts"},
		{name: "a unique key that a trigger fills", stays: true, with: []string{"ALTER TABLE terra_users ADD COLUMN theirs INT NULL UNIQUE", "CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SET NEW.theirs = 1", another},
			send: held("another row of terra_users", "has the same value again"), bodies: []string{workout}, rows: isThere, unseen: noRight, maria: seen("terra_users")},
		{name: "a constraint of a column of theirs", server: "maria", with: []string{"ALTER TABLE terra_users ADD COLUMN company VARCHAR(20) DEFAULT 'x' CHECK (company <> 'x')"},
			check: noted("constraints of yours", "company"), send: held("4025", "MODIFY `company` varchar(20)", "DEFAULT 'x'"), bodies: []string{workout}, unseen: some},
		{name: "constraints of one name", server: "maria", with: []string{"ALTER TABLE terra_users ADD CONSTRAINT c CHECK (provider <> 'x')", "ALTER TABLE terra_data_payloads ADD CONSTRAINT c CHECK (data_type <> 'daily')"},
			check: noted("constraints of yours"), send: held("ALTER TABLE `terra_data_payloads` DROP CONSTRAINT `c`"), bodies: []string{workout}, unseen: some},
		{name: "partitions of two tables", with: []string{"ALTER TABLE terra_users PARTITION BY KEY (user_id) PARTITIONS 2", "ALTER TABLE terra_data_payloads PARTITION BY RANGE COLUMNS (payload_id) (PARTITION p VALUES LESS THAN ('0'))"},
			send: held("1526", "run: ALTER TABLE `terra_data_payloads` REMOVE PARTITIONING"), bodies: []string{workout}, unseen: "which rows partitions take is told by expressions alone"},
		{name: "a year for references", with: []string{"ALTER TABLE terra_users MODIFY reference_id YEAR"},
			check: held("reference_id is year"), send: held("MODIFY `reference_id` TEXT"), bodies: []string{authOf("u-1", "1")}, rows: "SELECT COUNT(*) = 0 FROM terra_users WHERE reference_id = 2001"},
		{name: "numbers, and a foreign key between them", prepare: func(tb testing.TB, f *far) {
			f.exec(tb, "CREATE TABLE terra_users (user_id INT PRIMARY KEY, reference_id TEXT, created_at DATETIME NOT NULL, granted_scopes TEXT, provider TEXT NOT NULL, state VARCHAR(20)) CHARACTER SET utf8mb4",
				"CREATE TABLE terra_data_payloads (user_id INT NOT NULL, data_type TEXT NOT NULL, created_at TEXT NOT NULL, payload_url TEXT NOT NULL, start_time TEXT, end_time TEXT, CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES terra_users (user_id) ON DELETE CASCADE) CHARACTER SET utf8mb4")
		}, check: held("DROP FOREIGN KEY `of_user`", "ADD CONSTRAINT `of_user`", "ON DELETE CASCADE"), send: held("DROP FOREIGN KEY `of_user`"), bodies: []string{workout}},
		{name: "the vendor's tables, and a foreign key between them", prepare: func(tb testing.TB, f *far) {
			f.exec(tb, vendorsIn("utf8mb4")...)
			f.exec(tb, "ALTER TABLE terra_data_payloads ADD CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES terra_users (user_id)")
		}, check: noted("DROP FOREIGN KEY `of_user`; ALTER TABLE `terra_users` MODIFY user_id", "ADD CONSTRAINT `of_user`"), bodies: []string{workout}},

		{name: "no right to insert", with: []string{}, prepare: func(tb testing.TB, f *far) { f.revoke(tb, "INSERT") }, check: held("GRANT SELECT, INSERT, UPDATE ON"), send: held("GRANT SELECT, INSERT, UPDATE ON")},
		{name: "no right to update", with: []string{}, prepare: func(tb testing.TB, f *far) { f.revoke(tb, "UPDATE") }, check: held("GRANT SELECT, INSERT, UPDATE ON"), send: held("GRANT SELECT, INSERT, UPDATE ON")},
		{name: "no right to select", with: []string{}, prepare: func(tb testing.TB, f *far) { f.revoke(tb, "SELECT") }, check: held("GRANT SELECT, INSERT, UPDATE ON"), send: held("GRANT SELECT, INSERT, UPDATE ON")},
		{name: "no right to create", prepare: func(tb testing.TB, f *far) { f.revoke(tb, "CREATE") }, check: held("CREATE TABLE IF NOT EXISTS `terra_users`"), send: held("CREATE TABLE IF NOT EXISTS `terra_users`", "GRANT SELECT")},
		{name: "no right to alter", prepare: func(tb testing.TB, f *far) { f.exec(tb, vendorsIn("utf8mb4")...); f.revoke(tb, "ALTER, INDEX") }, check: held("ADD COLUMN payload_id"), send: held("ADD COLUMN payload_id", "ADD UNIQUE KEY")},
		{name: "the right to alter alone", prepare: func(tb testing.TB, f *far) { f.exec(tb, vendorsIn("utf8mb4")...); f.revoke(tb, "CREATE, INDEX") }, check: noted("user_id")},
		{name: "no rights at all", prepare: func(tb testing.TB, f *far) { f.revoke(tb, "ALL PRIVILEGES") }, check: held("GRANT SELECT, INSERT, UPDATE, CREATE, ALTER ON"), send: held("1044", "GRANT SELECT, INSERT, UPDATE, CREATE, ALTER ON")},
		{name: "no such database", change: func(c *Config) { c.Database = "nowhere" }, prepare: func(tb testing.TB, f *far) { f.exec(tb, "GRANT ALL ON nowhere.* TO "+f.user) }, check: held("CREATE DATABASE `nowhere`"), send: held("1049", "CREATE DATABASE `nowhere`")},
		{name: "another password", stays: true, change: func(c *Config) { c.Password = secret.New("another-one") }, check: held("1045"), send: held("1045", "see that user and password are right")},
	}
}

// padded makes the tables as we made them before.
func padded(tb testing.TB, f *far) {
	tb.Helper()
	for _, t := range sqltables.Of("terra").All() {
		f.exec(tb, createTable(t, exactOnce))
	}
}

func TestDatabasesAsCustomersHaveThem(t *testing.T) {
	maria := newFar(t).maria(t)
	var setups []destinationtest.Setup
	for _, c := range customers() {
		if maria && c.maria != nil {
			c.check = *c.maria
		}
		if c.server == "" || (c.server == "maria") == maria {
			setups = append(setups, c.setup())
		}
	}
	if len(setups) < 50 {
		t.Errorf("%d set-ups", len(setups))
	}
	destinationtest.RunSetups(t, setups)
}

func (c customer) setup() destinationtest.Setup {
	var f *far
	var m *mysql
	return destinationtest.Setup{
		Name: c.name, Check: c.check, Send: c.send, Bodies: c.bodies, Unseen: c.unseen,
		Open: func(tb testing.TB, deps destination.Deps) destination.Destination {
			f = newFar(tb)
			if c.with != nil {
				f.ours(tb)
			}
			if c.prepare != nil {
				c.prepare(tb, f)
			}
			for _, s := range c.with {
				f.exec(tb, strings.ReplaceAll(s, "%exact%", f.exact(tb)))
			}
			if c.change != nil {
				c.change(&f.conf)
			}
			deps.Payloads = sqltablestest.Forgetful{} // its links are as long as real ones
			m = openWith(tb, f.conf, deps)
			if c.lately != nil {
				for n, body := range []string{workout, deauth} {
					if _, err := m.Send(tb.Context(), destinationtest.Delivery(tb, 900+n, []byte(body))); err != nil {
						tb.Fatal(err)
					}
				}
				f.exec(tb, c.lately...)
			}
			return m
		},
		After: func(tb testing.TB) {
			f.holds(tb, c.rows)
			if !c.stays {
				f.mended(tb, m, c.bodies)
			}
		},
	}
}

// holds expects a query to say yes.
func (f *far) holds(tb testing.TB, query string) {
	tb.Helper()
	if query == "" {
		return
	}
	var as bool
	if err := f.admin.QueryRowContext(tb.Context(), query).Scan(&as); err != nil || !as {
		tb.Errorf("%s: %t, %v", query, as, err)
		for _, table := range []string{"terra_users", "terra_data_payloads"} {
			tb.Log(sqltablestest.Rows(tb, f.admin, table, "created_at"))
		}
	}
}

// advised is where a text says which SQL to run.
var advised = regexp.MustCompile(`(?:run|run, if that is not meant): ((?:ALTER|CREATE|GRANT)[^:]*?)(?:$|; [a-z])`)

// statementsToRun are the statements that err says to run.
func statementsToRun(err error) []string {
	found := advised.FindStringSubmatch(err.Error())
	if found == nil {
		return nil
	}
	script := found[1]
	if strings.Count(script, ")") > strings.Count(script, "(") { // advice in brackets
		script = strings.TrimSuffix(script, ")")
	}
	return strings.Split(script, "; ")
}

// mended runs the SQL that check and deliveries say to run, as somebody with all
// rights, until both are content.
func (f *far) mended(tb testing.TB, m *mysql, bodies []string) {
	tb.Helper()
	if bodies == nil {
		bodies = []string{workout, deauth}
	}
	var err error
	for range 5 {
		err = m.Check(tb.Context())
		if _, remark := errors.AsType[destination.Remark](err); remark && statementsToRun(err) == nil {
			err = nil
		}
		for n, body := range bodies {
			if err == nil {
				_, err = m.Send(tb.Context(), destinationtest.Delivery(tb, 700+n, []byte(body)))
			}
		}
		if err == nil {
			return
		}
		for _, statement := range statementsToRun(err) {
			if _, failed := f.admin.ExecContext(tb.Context(), statement); failed != nil {
				tb.Errorf("%v: %s: %v", err, statement, failed)
				return
			}
		}
	}
	tb.Errorf("the SQL to run does not mend it: %v", err)
}

// TestTablesCanAlwaysBeJoined: of columns in two binary collations no query joins
// two, so that a table that is made beside others of before, and the ALTER that
// check gives, keep to one.
func TestTablesCanAlwaysBeJoined(t *testing.T) {
	f := newFar(t)
	padded(t, f)
	f.exec(t, "DROP TABLE terra_users")
	m := f.open(t)
	for n, name := range []string{"beside tables of before", "altered"} {
		if _, err := m.Send(t.Context(), destinationtest.Delivery(t, n, []byte(workout))); err != nil {
			t.Fatal(err)
		}
		f.holds(t, "SELECT COUNT(*) > 0 FROM terra_users JOIN terra_data_payloads USING (user_id)")
		err := m.Check(t.Context())
		if (err != nil) != (n == 0) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			f.exec(t, statementsToRun(err)...)
		}
	}
}
