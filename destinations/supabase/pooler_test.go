package supabase

import (
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// TestAPoolerCompletesTheTables: the platform gives a DSN of its pooler, in
// transaction mode.
func TestAPoolerCompletesTheTables(t *testing.T) {
	p := project.Start(t)
	pooler := servers.StartPgBouncer(t, p.DSN, 1)
	d := opened(t, p, func(c *Config) { c.Complete.DSN = secret.New(pooler.DSN) })
	daily := happened(t, 1, day(1, "00"))
	if err := deliver(t, d, daily); err != nil {
		wantClass(t, err, transient, "made just now")
		p.Reload(t)
		send(t, d, daily)
	}
	if n := len(bodies(t, p)); n != 1 {
		t.Errorf("%d payloads", n)
	}
}
