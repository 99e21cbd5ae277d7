package scale

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// A further primary is added to the settings of one daemon after the other, under load. Events go there
// once both know it; nothing is lost, and a daemon that dies afterwards leaves its slots in both databases
// to the other.
func TestAPrimaryIsAddedWithoutAStop(t *testing.T) {
	f := newFleet(t, 2, "shutdown_delay: 0s\n", nil)
	url := f.database(t)
	l := newLoad(t, 6, f.urls()...)
	var moments []time.Time
	for _, d := range f.daemons {
		l.more(t, 100)
		d.write("store-url-b", url)
		d.write("fantail.yaml", strings.Replace(d.read("fantail.yaml"), "dir: own }", `dir: own, more: [{ name: b, urls: ["${file:store-url-b}"] }] }`, 1))
		moments = append(moments, time.Now())
		d.stop()
		d.start()
	}
	until(t, 60*time.Second, "events go to the new primary", func() bool { return count(t, url, "fantail.event") > 0 })
	l.more(t, 200)
	moments = append(moments, time.Now())
	f.daemons[1].kill()
	until(t, 60*time.Second, "nobody is left in either database but the other", func() bool {
		one := func(dsn string) bool {
			return count(t, dsn, "(SELECT DISTINCT owner FROM fantail.slot s WHERE owner <> '00000000-0000-0000-0000-000000000000') o") == 1
		}
		return one(f.server.DSN) && one(url)
	})
	l.more(t, 100)
	f.settle(l.end(), moments, inFlight)
	if n := count(t, url, "fantail.pending"); n > 0 {
		t.Errorf("%d deliveries are pending in the new primary", n)
	}
	if n := count(t, url, "fantail.destination"); n > 0 {
		t.Errorf("%d destinations are registered in the new primary", n)
	}
}

// database makes one more database with the schema on the server of the fleet.
func (f *fleet) database(t *testing.T) string {
	t.Helper()
	name := servers.Name()
	c, err := pgx.Connect(t.Context(), f.server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(f.server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	if _, err := pgstore.Migrate(t.Context(), pgstore.Options{URLs: []secret.Value{secret.New(u.String())}}); err != nil {
		t.Fatal(err)
	}
	return u.String()
}

func count(t *testing.T, dsn, from string) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
