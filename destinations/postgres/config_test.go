package postgres

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/pgclient"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func TestValidate(t *testing.T) {
	const good = "postgres://u:hidden@db.example/d"
	for name, tt := range map[string]struct {
		dsn    string
		change func(*Config)
		faults []string
	}{
		"a dsn":             {dsn: good},
		"many parameters":   {dsn: "postgresql://u:hidden@a:1,b:2,[::1]/d?sslmode=require&target_session_attrs=primary&channel_binding=require&sslnegotiation=direct&connect_timeout=5&application_name=x&options=-c%20x%3D1"},
		"fields alone":      {change: func(c *Config) { c.Host, c.User, c.Database, c.Password = "a", "u", "d", secret.New("hidden") }},
		"nothing":           {faults: []string{"host: is required"}},
		"no user":           {dsn: "postgres://db.example/d", faults: []string{"user: is required"}},
		"no database":       {dsn: "postgres://u@db.example", faults: []string{"database: is required"}},
		"keywords":          {dsn: "host=a password=hidden", faults: []string{"dsn: must be a URL"}},
		"passfile":          {dsn: good + "?passfile=/etc/hidden", faults: []string{"dsn: must not have the parameter passfile"}},
		"service":           {dsn: good + "?service=hidden", faults: []string{"parameter service"}},
		"servicefile":       {dsn: good + "?servicefile=hidden", faults: []string{"parameter servicefile"}},
		"sslcert":           {dsn: good + "?sslcert=hidden", faults: []string{"set tls.cert"}},
		"sslkey":            {dsn: good + "?sslkey=hidden", faults: []string{"set tls.key"}},
		"sslrootcert":       {dsn: good + "?sslrootcert=hidden", faults: []string{"set tls.ca"}},
		"host as parameter": {dsn: good + "?host=/tmp", faults: []string{"parameter host"}},
		"a socket":          {dsn: "postgres://u:hidden@%2Ftmp/d", faults: []string{"host: must be host names"}},
		"a socket among":    {dsn: good, change: func(c *Config) { c.Host = "a,/tmp" }, faults: []string{"host: must be host names"}},
		"prefer":            {dsn: good + "?sslmode=prefer", faults: []string{"may end without TLS"}},
		"no such mode":      {dsn: good + "?sslmode=hidden", faults: []string{"sslmode has a value"}},
		"a standby":         {dsn: good + "?target_session_attrs=standby", faults: []string{"target_session_attrs has a value"}},
		"a password with ?": {dsn: "postgres://u:a?hidden@db.example/d", faults: []string{"%3F"}},
		"a bad port":        {dsn: good, change: func(c *Config) { c.Port = 65536 }, faults: []string{"port: must be"}},
		"connections":       {dsn: good, change: func(c *Config) { c.MaxConnections = 0 }, faults: []string{"max_connections: must be"}},
		"schema":            {dsn: good, change: func(c *Config) { c.Schema = strings.Repeat("x", 64) }, faults: []string{"schema: must have"}},
		"several faults":    {dsn: good, change: func(c *Config) { c.LinkTTL, c.Content, c.MaxConnections = 8*24*time.Hour, "x", 101 }, faults: []string{"link_ttl: ", "content: ", "max_connections: "}},
		"ca that is none":   {dsn: good, change: func(c *Config) { c.TLS.CA = secret.New("hidden") }, faults: []string{"tls.ca: "}},
		"cert without key":  {dsn: good, change: func(c *Config) { c.TLS.Cert = secret.New("hidden") }, faults: []string{"tls.key: "}},
		"ca with require":   {dsn: good, change: func(c *Config) { c.TLS.Mode, c.TLS.CA = farside.Require, secret.New("hidden") }, faults: []string{"tls.mode: "}},
		"ca with disable":   {dsn: good + "?sslmode=disable", change: func(c *Config) { c.TLS.ServerName = "x" }, faults: []string{"tls.mode: "}},
		"a bad bucket":      {dsn: good, change: func(c *Config) { c.Payloads.S3 = &aws.BucketSettings{} }, faults: []string{"payloads.s3.bucket: "}},
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

func TestFieldsWinOverTheDSN(t *testing.T) {
	c := defaults()
	c.DSN = secret.New("postgres://u:p@a:1/d?sslmode=disable")
	c.Host, c.Port, c.User, c.Password, c.Database, c.TLS.Mode = "b", 7, "v", secret.New("q"), "e", farside.Require
	got, err := c.target()
	if err != nil || got.Hosts[0].String() != "b:7" || got.User != "v" || got.Password.Reveal() != "q" || got.Database != "e" || got.TLS.Mode != farside.Require {
		t.Errorf("%v %+v", err, got)
	}
}

func TestMeanings(t *testing.T) {
	p := &postgres{target: &pgclient.Target{Database: "d", User: "u"}, tables: sqltables.Of("terra")}
	for code, want := range map[string]string{
		"28P01": "misconfigured", "28000": "misconfigured", "3D000": "misconfigured", "3F000": "misconfigured", "42501": "misconfigured", "42804": "misconfigured", "0A000": "misconfigured",
		"22001": "rejected alone", "22021": "rejected alone", "23514": "rejected alone", "23502": "misconfigured alone", "54000": "rejected alone",
		"55000": "misconfigured", "42P10": "misconfigured", "42883": "misconfigured", "27000": "misconfigured", "2F005": "misconfigured",
		"40001": "transient", "40P01": "transient", "25006": "transient", "53300": "transient", "57P01": "transient", "57P03": "transient", "57014": "transient", "08006": "transient", "55P03": "transient", "XX000": "transient alone", "42P01": "transient",
		"23503": "transient alone", "P0001": "transient alone", "": "transient alone", "xx": "transient alone",
	} {
		err, alone := p.refusal("write", pgError(code), nil, nil)
		if got := classOf(err, alone); got != want {
			t.Errorf("%s is %s, want %s", code, got, want)
		}
	}
	if err, _ := p.refusal("write", errors.New("anything"), nil, nil); classOf(err, false) != "transient" {
		t.Errorf("%v", err)
	}
}
