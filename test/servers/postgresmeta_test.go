package servers_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/test/servers"
)

func TestPostgresMetaQueriesTheGivenDatabase(t *testing.T) {
	m, p := servers.StartPostgresMeta(t), servers.StartPostgres(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.URL+"/query", strings.NewReader(`{"query":"CREATE TABLE made_by_meta (a TEXT)"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	m.Use(req, p.DSN)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s", resp.Status, b)
	}
	c, err := pgx.Connect(t.Context(), p.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), "SELECT a FROM made_by_meta"); err != nil {
		t.Error(err)
	}
}
