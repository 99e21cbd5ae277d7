package mysql

import (
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// TestKindsOfAuthentication: the driver does not know that there is a TLS beneath
// it, and what it sends depends on that. A user who has just been made is in no
// cache of the server's: the first connection authenticates in full.
func TestKindsOfAuthentication(t *testing.T) {
	server, f := private(t)
	version := sqltablestest.Rows(t, f.admin, "(SELECT VERSION() AS v) AS x", "v")[0]["v"]
	kinds := map[string]string{
		"caching_sha2_password": "IDENTIFIED WITH caching_sha2_password BY ?",
		"sha256_password":       "IDENTIFIED WITH sha256_password BY ?",
	}
	if strings.Contains(version, "MariaDB") {
		f.exec(t, "INSTALL SONAME 'auth_ed25519'")
		kinds = map[string]string{
			"mysql_native_password": "IDENTIFIED BY ?",
			"ed25519":               "IDENTIFIED VIA ed25519 USING PASSWORD(?)",
		}
	}
	tls := farside.TLS{Mode: farside.VerifyFull, CA: secret.New(string(server.TLS.CA))}
	for name, identified := range kinds {
		for mode, with := range map[string]farside.TLS{"within TLS": tls, "without": {Mode: farside.Disable}} {
			t.Run(name+" "+mode, func(t *testing.T) {
				f.exec(t, "ALTER USER "+f.user+" "+strings.ReplaceAll(identified, "?", "'"+userPassword+"'"))
				set := func(c *Config) { c.TLS = with }
				for range 2 { // at first in full, then from the server's cache
					if _, err := f.open(t, set).Send(t.Context(), plain(t, 1)); err != nil {
						t.Fatal(err)
					}
				}
				_, err := f.open(t, set, func(c *Config) { c.Password = secret.New("another-password") }).Send(t.Context(), plain(t, 1))
				if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "1045") {
					t.Errorf("with another password: %v", err)
				}
			})
		}
	}
}
