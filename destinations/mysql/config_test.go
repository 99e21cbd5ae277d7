package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func TestValidate(t *testing.T) {
	const good = "mysql://u:hidden@db.example/d"
	for name, tt := range map[string]struct {
		dsn    string
		change func(*Config)
		faults []string
	}{
		"a dsn":             {dsn: good},
		"modes":             {dsn: good + "?ssl-mode=REQUIRED"},
		"modes of others":   {dsn: good + "?tls=skip-verify"},
		"mariadb":           {dsn: "mariadb://u:hidden@[::1]:3307/d"},
		"fields alone":      {change: func(c *Config) { c.Host, c.User, c.Database, c.Password = "a", "u", "d", secret.New("hidden") }},
		"nothing":           {faults: []string{"host: is required", "user: is required", "database: is required"}},
		"the driver's form": {dsn: "u:hidden@tcp(h:1)/d", faults: []string{"dsn: must be a URL"}},
		"allowAllFiles":     {dsn: good + "?allowAllFiles=true", faults: []string{"dsn: has a parameter besides"}},
		"cleartext":         {dsn: good + "?allowCleartextPasswords=true", faults: []string{"dsn: has a parameter besides"}},
		"multiStatements":   {dsn: good + "?multiStatements=true", faults: []string{"dsn: has a parameter besides"}},
		"a server key":      {dsn: good + "?serverPubKey=hidden", faults: []string{"dsn: has a parameter besides"}},
		"sql_mode":          {dsn: good + "?sql_mode=''", faults: []string{"dsn: has a parameter besides"}},
		"preferred":         {dsn: good + "?tls=preferred", faults: []string{"may end without TLS"}},
		"a registered tls":  {dsn: good + "?tls=hidden", faults: []string{"may end without TLS"}},
		"a socket":          {dsn: "mysql://u:hidden@%2Ftmp%2Fmysql.sock/d", faults: []string{"host: must be host names"}},
		"another socket":    {dsn: good, change: func(c *Config) { c.Host = "unix(/tmp/hidden)" }, faults: []string{"host: must be host names"}},
		"two hosts":         {dsn: "mysql://u:hidden@a,b/d", faults: []string{"host: must be one host"}},
		"a bad port":        {dsn: good, change: func(c *Config) { c.Port = -1 }, faults: []string{"port: must be"}},
		"connections":       {dsn: good, change: func(c *Config) { c.MaxConnections = 101 }, faults: []string{"max_connections: must be"}},
		"several faults":    {dsn: good, change: func(c *Config) { c.LinkTTL, c.Content = time.Millisecond, "x" }, faults: []string{"link_ttl: ", "content: "}},
		"ca that is none":   {dsn: good, change: func(c *Config) { c.TLS.CA = secret.New("hidden") }, faults: []string{"tls.ca: "}},
	} {
		c := defaults()
		c.DSN = secret.New(tt.dsn)
		if tt.change != nil {
			tt.change(&c)
		}
		err := c.Validate()
		if (err != nil) != (tt.faults != nil) || err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, f := range tt.faults {
			if !strings.Contains(err.Error(), f) {
				t.Errorf("%s: %v, want %q", name, err, f)
			}
		}
	}
}

func TestTheDriverIsSafe(t *testing.T) {
	c := defaults()
	c.DSN = secret.New("mysql://u:p@db.example/d")
	tgt, err := c.target()
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDialer(tgt, sqltablestest.Deps(nil).Dial)
	if err != nil {
		t.Fatal(err)
	}
	if c := d.config; c.AllowAllFiles || c.MaxAllowedPacket <= 0 || c.AllowCleartextPasswords || c.AllowFallbackToPlaintext || c.AllowOldPasswords || c.MultiStatements || c.TLS != nil || c.Params["sql_mode"] != "'STRICT_ALL_TABLES'" ||
		d.tls == nil || d.tls.InsecureSkipVerify || d.tls.ServerName != "db.example" {
		t.Errorf("%+v %+v", c, d.tls)
	}
	tgt.tls.Mode = farside.Disable
	if d, err = newDialer(tgt, nil); err != nil || d.tls != nil || d.config.Net != "tcp" { // else passwords would go in the clear
		t.Errorf("without TLS: %+v, %v", d, err)
	}
}

func TestTheHostPassesTheGuard(t *testing.T) {
	refusal := destination.Misconfigure(errors.New("the guard refuses it"))
	deps := sqltablestest.Deps(sqltablestest.NewStore())
	var asked string
	deps.Dial = func(_ context.Context, _, to string) (net.Conn, error) { asked = to; return nil, refusal }
	c := defaults()
	c.DSN = secret.New("mysql://u:p@db.example/d?tls=false")
	m := openWith(t, c, deps)
	defer m.Close()
	if _, err := m.Send(t.Context(), plain(t, 1)); !errors.Is(err, refusal) || asked != "db.example:3306" {
		t.Errorf("%v, want the guard's own words; asked for %s", err, asked)
	}
}

func TestMeanings(t *testing.T) {
	m := &mysql{target: &target{database: "d", user: "u"}, tables: sqltables.Of("terra")}
	for number, want := range map[uint16]string{
		1045: "misconfigured", 1049: "misconfigured", 1044: "misconfigured", 1142: "misconfigured", 1130: "misconfigured", 1364: "misconfigured", 3159: "misconfigured",
		1406: "rejected alone", 1366: "rejected alone", 1062: "rejected alone", 3819: "rejected alone", 4025: "rejected alone",
		1040: "transient", 1203: "transient", 1205: "transient", 1213: "transient", 1290: "transient", 1836: "transient", 1053: "transient", 1146: "transient alone", 1054: "transient alone", 1114: "transient",
		1644: "transient alone", 1452: "transient alone", 9999: "transient alone",
		10022: "rejected alone", 10023: "rejected alone", 10042: "misconfigured alone", 10028: "misconfigured", 10045: "transient alone", 10040: "transient alone",
	} {
		e := &driver.MySQLError{Number: number, Message: "no"}
		if number > 10000 { // a number that nobody knows, of a class of SQLSTATE
			copy(e.SQLState[:], fmt.Sprint(number%100)+"000")
		}
		err, alone := m.fault("write", fmt.Errorf("write: %w", e))
		class, _ := destination.ClassOf(err)
		got := class.String()
		if alone {
			got += " alone"
		}
		if got != want {
			t.Errorf("%d is %s, want %s", number, got, want)
		}
	}
	for err, want := range map[error]destination.Class{
		driver.ErrNoTLS: destination.Misconfigured, driver.ErrCleartextPassword: destination.Misconfigured, driver.ErrInvalidConn: destination.Transient, errors.New("anything"): destination.Transient,
	} {
		fault, _ := m.fault("write", err)
		if class, _ := destination.ClassOf(fault); class != want {
			t.Errorf("%v is %v", err, class)
		}
	}
}
