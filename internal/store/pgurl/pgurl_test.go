package pgurl

import (
	"strings"
	"testing"
)

func TestURLsThatAreRefused(t *testing.T) {
	const password = "hunter2hunter2"
	for text, want := range map[string]string{
		"":                                                      "must begin with postgres://",
		"host=db user=u password=" + password:                   "must begin with postgres://",
		"mysql://u:" + password + "@db/x":                       "must begin with postgres://",
		"postgres://u:" + password + "@/x":                      "must name a host",
		"postgres://db/x":                                       "must name a user",
		"postgres://u:" + password + "@db":                      "must name a database",
		"postgres://u:" + password + "@db/x/y":                  "must name a database",
		"postgres://u:" + password + "#1@db/x":                  "is no URL",
		"postgres://u:" + password + "?x@db/x":                  "is no URL",
		"postgres://u:" + password + "@db/x#y":                  "has a #",
		"postgres://u:" + password + "@db/x?sslmode=prefer":     "sslmode must be",
		"postgres://u:" + password + "@db/x?sslrootcert=ca.pem": "must be an absolute path",
		"postgres://u:" + password + "@db/x?options=-c%20synchronous_commit%3Doff": "has a parameter besides",
		"postgres://u:" + password + "@db/x?host=elsewhere":                        "has a parameter besides",
		"postgres://u:" + password + "@a,b/x":                                      "must name one host",
		"postgres://u:" + password + "@db:port/x":                                  "is no URL",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("%q: the error shows the password: %v", text, err)
		}
	}
}

func TestURLsAreSafeByDefault(t *testing.T) {
	got, err := Parse("postgresql://u:p%40ss@a:5433/x")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"postgres://u:p%40ss@a:5433/x?", "sslmode=verify-full", "target_session_attrs=read-write", "passfile=%2Fdev%2Fnull"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s has no %s", got, want)
		}
	}
	if got, err := Parse("postgres://u@db/x?sslmode=disable"); err != nil || !strings.Contains(got, "sslmode=disable") {
		t.Errorf("%s, %v", got, err)
	}
}
