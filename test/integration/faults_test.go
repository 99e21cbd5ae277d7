package integration

import (
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/config"
)

// TestWhatADSNLacksIsNamedAtItsLine: the line is that of the dsn, not of the settings above it, and
// there is no other fault.
func TestWhatADSNLacksIsNamedAtItsLine(t *testing.T) {
	for kind, dsn := range map[string]string{"postgres": "postgres://u:p@/db", "mysql": "mysql://u:p@db.example:99999/db"} {
		path := developersFile(t, "destinations:\n  - name: db\n    kind: "+kind+"\n    settings:\n      max_connections: 2\n      dsn: \""+dsn+"\"\n")
		if _, err := config.Load(path, all.Destinations()); err == nil || !strings.Contains(err.Error(), "acme.yaml:7: destination db: settings.") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
