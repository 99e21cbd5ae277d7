package integration

import (
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// startShared starts a daemon on PostgreSQL, whose metrics of a shared store no other has.
func startShared(t *testing.T) *daemon {
	t.Helper()
	server := servers.PrivatePostgres(t)
	if _, err := pgstore.Migrate(t.Context(), pgstore.Options{URLs: []secret.Value{secret.New(server.DSN)}}); err != nil {
		t.Fatal(err)
	}
	h := newHome(t)
	h.write("fantail.yaml", "listen: 127.0.0.1:0\nstore: { postgres: { urls: [\"${file:store-url}\"], dir: own } }\ndevelopers: { store: {} }\nshutdown_delay: 0s\nshutdown_grace: 2s\n")
	h.write("store-url", server.DSN)
	h.write("fantail.key", strings.Repeat("k", 32))
	return h.start()
}

// withShared adds what a daemon on PostgreSQL alone shows.
func (e exposed) withShared(t *testing.T) exposed {
	t.Helper()
	for metric, labels := range scrape(t, startShared(t)) {
		if e[metric] == nil {
			e[metric] = labels
		}
	}
	return e
}
