package farside

import (
	"strings"
	"testing"
)

func TestSplitDSN(t *testing.T) {
	d, err := SplitDSN("postgresql://u%40x:p%2F%3A%40@a:1,[::1]:2,c/d%20b?sslmode=require&x=%26", "postgres", "postgresql")
	if err != nil || d.User != "u@x" || d.Password.Reveal() != "p/:@" || d.Hosts != "a:1,[::1]:2,c" || d.Database != "d b" || d.Params.Get("x") != "&" {
		t.Errorf("%v %+v", err, d)
	}
	if d, err := SplitDSN("mysql://u:p@ss@h/d", "mysql"); err != nil || d.Password.Reveal() != "p@ss" || d.Hosts != "h" {
		t.Errorf("%v %+v", err, d)
	}
	for _, dsn := range []string{
		"", "host=h password=hidden", "mysql://u:hidden@h/d", "postgres:u:hidden@h/d", "postgres://u:%hidden@h/d", "postgres://u:hidden@h/%d",
		"postgres://u:hidden#x@h/d", "postgres://u:hidden@h/d?%zz", "postgres://u:hidden\x00@h/d", "postgres://u:hidden%00@h/d", "postgres://u:h@h/hidden%00", "postgres://u:hidden@h/d?a=b;c=d",
	} {
		if _, err := SplitDSN(dsn, "postgres"); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}

func TestHosts(t *testing.T) {
	for list, want := range map[string]string{
		"db.example":                   "db.example:5432",
		"db.example:1,10.0.0.1":        "db.example:1 10.0.0.1:5432",
		"[2001:db8::1]:7":              "[2001:db8::1]:7",
		"2001:db8::1":                  "[2001:db8::1]:5432",
		"[::1]":                        "[::1]:5432",
		"":                             "",
		"a,":                           "",
		",a":                           "",
		"/var/run/postgresql":          "",
		"a,/tmp":                       "",
		"@abstract":                    "",
		"%2Ftmp":                       "",
		"fe80::1%eth0":                 "",
		"[fe80::1%25eth0]:1":           "",
		"a:0":                          "",
		"a:65536":                      "",
		"a:b":                          "",
		"a b":                          "",
		"-a":                           "",
		`C:\tmp`:                       "",
		strings.Repeat("a,", 16) + "a": "",
		strings.Repeat("a", 254):       "",
		"a\x00":                        "",
		"a\n":                          "",
		"a..b":                         "",
		"*.b":                          "",
		"a-.b":                         "",
		"127.1":                        "",
		"b\u00fccher":                  "xn--bcher-kva:5432",
		"my_db.":                       "my_db.:5432",
	} {
		hosts, err := Hosts(list, 5432)
		var got []string
		for _, h := range hosts {
			got = append(got, h.String())
		}
		if err == nil != (want != "") || err == nil && strings.Join(got, " ") != want {
			t.Errorf("%.40q: %q, %v; want %q", list, got, err, want)
		}
	}
}

func TestServerName(t *testing.T) {
	if c, err := (TLS{Mode: VerifyFull, ServerName: "b\u00fccher.example"}).Config("h"); err != nil || c.ServerName != "xn--bcher-kva.example" {
		t.Errorf("another script: %+v, %v", c, err)
	}
	for name, good := range map[string]bool{"": true, "db.example": true, "10.0.0.1": true, "a..b": false, "*.b": false, "a b": false} {
		if _, err := (TLS{Mode: VerifyFull, ServerName: name}).Config("h"); (err == nil) != good || err != nil && !strings.HasPrefix(err.Error(), "tls.server_name: names a host that cannot be") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
