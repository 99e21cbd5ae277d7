package servers_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/test/servers"
)

func TestPrivatePostgresDiesAndComesBackWithItsData(t *testing.T) {
	s, ctx := servers.PrivatePostgres(t), t.Context()
	run := func(sql string) error {
		c, err := pgx.Connect(ctx, s.DSN)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		_, err = c.Exec(ctx, sql)
		return err
	}
	diesAndComesBack(t, s, run)
}

func TestPrivateMySQLDiesAndComesBackWithItsData(t *testing.T) {
	s := servers.PrivateMySQL(t)
	db := openMySQL(t, s.DSN)
	if _, err := db.Exec("CREATE DATABASE d"); err != nil {
		t.Fatal(err)
	}
	config, err := mysql.ParseDSN(s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	config.DBName = "d"
	db = openMySQL(t, config.FormatDSN())
	diesAndComesBack(t, s, func(sql string) error {
		_, err := db.ExecContext(t.Context(), sql)
		return err
	})
}

func diesAndComesBack(t *testing.T, s *servers.Private, run func(sql string) error) {
	t.Helper()
	if err := run("CREATE TABLE t (a INT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(){s.Kill, s.Stop} {
		if err := run("INSERT INTO t VALUES (" + string(rune('1'+i)) + ")"); err != nil {
			t.Fatal(err)
		}
		end()
		if err := run("SELECT 1"); err == nil {
			t.Fatal("it answers after its end")
		}
		s.Start()
		if err := run("INSERT INTO t VALUES (" + string(rune('1'+i)) + ")"); err == nil {
			t.Error("the row is gone")
		}
	}
}

func TestPrivatePostgresTakesCertificates(t *testing.T) {
	s, ctx := servers.PrivatePostgres(t), t.Context()
	config, err := pgx.ParseConfig(s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	config.TLSConfig = clientTLS(t, s.TLS)
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "CREATE ROLE "+servers.ClientName+" LOGIN"); err != nil {
		t.Fatal(err)
	}
	config.User, config.Password = servers.ClientName, ""
	withCert, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatalf("with the certificate alone: %v", err)
	}
	withCert.Close(ctx)
	config.TLSConfig.Certificates = nil
	if c, err := pgx.ConnectConfig(ctx, config); err == nil {
		c.Close(ctx)
		t.Error("the role may log in without its certificate")
	}
}

func TestPrivateMySQLTakesCertificates(t *testing.T) {
	s := servers.PrivateMySQL(t)
	admin := openMySQL(t, s.DSN)
	if _, err := admin.ExecContext(t.Context(), "CREATE USER c@'%' REQUIRE SUBJECT '/CN="+servers.ClientName+"'"); err != nil {
		t.Fatal(err)
	}
	config, err := mysql.ParseDSN(s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Passwd, config.TLS = "c", "", clientTLS(t, s.TLS)
	if err := ping(t.Context(), t, config); err != nil {
		t.Errorf("with the certificate: %v", err)
	}
	config.TLS.Certificates = nil
	if ping(t.Context(), t, config) == nil {
		t.Error("the user may log in without the certificate")
	}
}

func ping(ctx context.Context, t *testing.T, c *mysql.Config) error {
	t.Helper()
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	return db.PingContext(ctx)
}

func clientTLS(t *testing.T, s servers.TLS) *tls.Config {
	t.Helper()
	cert, err := tls.X509KeyPair(s.ClientCert, s.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.CA) {
		t.Fatal("no certificate in CA")
	}
	return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: []tls.Certificate{cert}}
}
