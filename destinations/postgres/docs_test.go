package postgres

import (
	"bytes"
	"context"
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

// TestTheDocumentedRightsTablesAndQueries runs what the README tells people to
// run: rights, tables made by hand, and queries over what is written then.
func TestTheDocumentedRightsTablesAndQueries(t *testing.T) {
	blocks := readme(t)
	if len(blocks) != 4 {
		t.Fatalf("the README has %d blocks of SQL", len(blocks))
	}
	for _, table := range sqltables.Of("terra").All() {
		if ddl := createTable(qualified("", table.Name), table) + ";"; !strings.Contains(blocks[2], ddl) {
			t.Errorf("the README lacks %s", ddl)
		}
	}
	f := newFar(t)
	role := quoted(f.role)
	as := strings.NewReplacer("fantail", role, "SCHEMA public", "SCHEMA "+role).Replace
	_, grant, _ := strings.Cut(blocks[0], ";\n") // CREATE ROLE is done
	f.exec(t, as(grant))
	f.exec(t, "REVOKE CREATE ON SCHEMA "+role+" FROM "+role, blocks[2], as(blocks[1]))
	p := f.open(t)
	if err := p.Check(t.Context()); err != nil {
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
	queries := strings.Split(strings.TrimSpace(blocks[3]), ";\n")
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
