package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// readme returns the blocks of SQL of the documentation.
func readme(t *testing.T) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "```") {
		if sql, ok := strings.CutPrefix(part, "sql\n"); ok && i%2 == 1 {
			blocks = append(blocks, sql)
		}
	}
	return blocks
}

// acme is a database of the README's name, in a cluster of its own, where nobody
// has a right that is not given, with the README's SQL run as it is written.
func acme(t *testing.T, dsn string, blocks ...string) *far {
	t.Helper()
	near := farAt(t, dsn)
	near.exec(t, "DROP DATABASE IF EXISTS acme WITH (FORCE)", "DROP ROLE IF EXISTS fantail", "CREATE DATABASE acme", "REVOKE ALL ON DATABASE acme FROM PUBLIC")
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/acme"
	f := &far{role: "fantail", store: sqltablestest.NewStore(), conf: defaults()}
	if f.admin, err = sql.Open("pgx", u.String()); err != nil {
		t.Fatal(err)
	}
	f.admin.SetMaxIdleConns(0)
	t.Cleanup(func() { f.admin.Close() })
	f.exec(t, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
	f.exec(t, blocks...)
	u.User = url.UserPassword("fantail", "...")
	f.conf.DSN = secret.New(u.String())
	return f
}

// TestTheDocumentedRightsTablesAndQueries runs what the README tells people to
// run: rights, tables made by hand, and queries over what is written then.
func TestTheDocumentedRightsTablesAndQueries(t *testing.T) {
	blocks := readme(t)
	if len(blocks) != 5 {
		t.Fatalf("the README has %d blocks of SQL", len(blocks))
	}
	rights, without, policy, tables := blocks[0], blocks[1], blocks[2], blocks[3]
	for _, table := range sqltables.Of("terra").All() {
		if ddl := createTable(qualified("", table.Name), table) + ";"; !strings.Contains(tables, ddl) {
			t.Errorf("the README lacks %s", ddl)
		}
	}
	dsn := servers.PrivatePostgres(t).DSN
	for _, line := range strings.Split(strings.TrimSpace(rights), "\n")[1:] { // each is needed
		f := acme(t, dsn, strings.Replace(rights, line, "", 1))
		p := f.open(t)
		_, err := p.Send(t.Context(), plain(t, 1))
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || p.Check(t.Context()) == nil {
			t.Errorf("without %s: %v, %v", line, class, err)
		}
	}
	f := acme(t, dsn, rights)
	if _, err := f.open(t).Send(t.Context(), plain(t, 1)); err != nil {
		t.Errorf("with %s: %v", rights, err)
	}
	f = acme(t, dsn, tables, without, "ALTER TABLE terra_users ENABLE ROW LEVEL SECURITY", policy)
	p := f.open(t)
	var remark destination.Remark
	if err := p.Check(t.Context()); !errors.As(err, &remark) || !strings.HasPrefix(err.Error(), "policies of terra_users") {
		t.Error(err)
	}
	var events []string
	for n, steps := range []int{1, 2} { // of one day, the second is newer
		body := fmt.Sprintf(`{"type":"daily","user":{"user_id":"u","reference_id":"your-user-123","provider":"GARMIN"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"},"steps":%d}]}`, steps)
		events = append(events, body)
		if _, err := p.Send(t.Context(), destinationtest.Delivery(t, n, []byte(body))); err != nil {
			t.Fatal(err)
		}
	}
	queries := strings.Split(strings.TrimSpace(blocks[4]), ";\n")
	rows, err := f.admin.QueryContext(t.Context(), queries[0])
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var user, day, link string
	for n := 0; rows.Next(); n++ {
		if err := rows.Scan(&user, &day, &link); err != nil || n > 0 || day != "2026-07-01" || string(f.store.Get(t, link)) != events[1] {
			t.Errorf("row %d: %v %s %s %s", n, err, user, day, link)
		}
	}
	if day == "" {
		t.Error("no latest version")
	}
	for _, q := range queries[1:] {
		f.exec(t, strings.TrimSuffix(strings.TrimSpace(q), ";"))
	}
}

// TestLinksOfABucketOfOnesOwnGiveTheBytes over real S3, with nothing from the
// operator.
func TestLinksOfABucketOfOnesOwnGiveTheBytes(t *testing.T) {
	server, f := servers.StartS3(t), newFar(t)
	bucket := servers.Name()
	client := s3.New(s3.Options{Region: server.Region, BaseEndpoint: &server.Endpoint, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(server.AccessKey, server.SecretKey, "")})
	if _, err := client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	c := f.conf
	c.Payloads.S3 = &aws.BucketSettings{Bucket: bucket, Settings: aws.Settings{Region: server.Region, Endpoint: server.Endpoint, AllowHTTP: true,
		AccessKeyID: secret.New(server.AccessKey), SecretAccessKey: secret.New(server.SecretKey)}}
	deps := sqltablestest.Deps(nil)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	deps.HTTP = &http.Client{Transport: transport}
	p := openWith(t, c, deps)
	defer p.Close()
	if err := p.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	x := destinationtest.Delivery(t, 1, []byte(`{"type":"daily","user":{"user_id":"u"},"data":[{"n":1},{"n":2},{"n":3}]}`))
	for range 2 {
		if _, err := p.Send(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	want := sqltablestest.BodiesOf(x.Event)
	rows := sqltablestest.Rows(t, f.admin, "terra_data_payloads", "payload_id")
	if len(rows) != len(want) {
		t.Fatalf("%d rows", len(rows))
	}
	for i, row := range rows {
		resp, err := deps.HTTP.Get(row["payload_url"])
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != string(want[i]) {
			t.Errorf("row %d: %v %s, want %s", i, err, body, want[i])
		}
	}

	// The README's way to fetch a payload takes a link as it is, and fails with one that is forged.
	if out, err := f.shell(t); err != nil || !slices.ContainsFunc(want, func(b []byte) bool { return bytes.Equal(b, out) }) {
		t.Errorf("the README fetches %q, %v", out, err)
	}
	f.exec(t, "UPDATE terra_data_payloads SET payload_url = payload_url || '0'")
	if out, err := f.shell(t); err == nil {
		t.Errorf("with a forged link the README fetches %q", out)
	}
}

// shell runs the README's block of shell as the role, and returns what it prints.
func (f *far) shell(t *testing.T) ([]byte, error) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```sh\n")
	block, _, found := strings.Cut(block, "```")
	u, err := url.Parse(f.conf.DSN.Reveal())
	if err != nil || !found {
		t.Fatalf("a block of shell: %t; %v", found, err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", block)
	cmd.Env = append(os.Environ(), "PGHOST="+u.Hostname(), "PGPORT="+u.Port(), "PGUSER="+f.role, "PGPASSWORD="+rolePassword,
		"PGDATABASE="+strings.TrimPrefix(u.Path, "/"), "PGSSLMODE=disable")
	return cmd.Output()
}
