package mysql

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// TestTheDocumentedRightsTablesAndQueries runs what the README tells people to
// run: rights, tables made by hand, and queries over what is written then.
func TestTheDocumentedRightsTablesAndQueries(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(text), "```") {
		if sql, ok := strings.CutPrefix(part, "sql\n"); ok && i%2 == 1 {
			blocks = append(blocks, sql)
		}
	}
	if len(blocks) != 3 {
		t.Fatalf("the README has %d blocks of SQL", len(blocks))
	}
	f := newFar(t)
	exact := f.exact(t)
	blocks[1] = strings.ReplaceAll(blocks[1], exactMaria, exact) // as the README says
	for _, table := range sqltables.Of("terra").All() {
		if ddl := createTable(table, exact) + ";"; !strings.Contains(blocks[1], ddl) {
			t.Errorf("the README lacks %s", ddl)
		}
	}
	f.revoke(t, "ALL PRIVILEGES")
	_, grant, _ := strings.Cut(blocks[0], ";\n") // CREATE USER is done
	f.exec(t, strings.TrimSuffix(strings.NewReplacer("acme.", "`"+f.database+"`.", "'fantail'", f.user).Replace(strings.TrimSpace(grant)), ";"))
	m := f.open(t)
	if err := m.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := m.Send(t.Context(), plain(t, 9)); err != nil { // with these rights it makes the tables
		t.Fatal(err)
	}
	for _, table := range tableNames() {
		f.exec(t, "DROP TABLE "+table)
	}
	for _, ddl := range strings.Split(strings.TrimSpace(blocks[1]), ";\n") {
		f.exec(t, strings.TrimSuffix(ddl, ";"))
	}
	f.revoke(t, "CREATE")
	if err := m.Check(t.Context()); err != nil {
		t.Error(err)
	}
	var events []string
	for n, steps := range []int{1, 2} { // of one day, the second is newer
		body := fmt.Sprintf(`{"type":"daily","user":{"user_id":"u","reference_id":"your-user-123","provider":"GARMIN"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"},"steps":%d}]}`, steps)
		events = append(events, body)
		if _, err := m.Send(t.Context(), destinationtest.Delivery(t, n, []byte(body))); err != nil {
			t.Fatal(err)
		}
	}
	queries := strings.Split(strings.TrimSpace(blocks[2]), ";\n")
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
	f.fetches(t, string(text), `{"type":"daily"}`)
}

// fetches runs the README's block of shell as the user: it takes a link as it
// is, and fails with one that has ended.
func (f *far) fetches(t *testing.T, readme, payload string) {
	t.Helper()
	const query = "?X-Amz-Credential=a%2Fb&X-Amz-Signature=1"
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if "?"+r.URL.RawQuery != query {
			w.WriteHeader(http.StatusForbidden)
		}
		io.WriteString(w, payload)
	}))
	defer storage.Close()
	_, block, _ := strings.Cut(readme, "```sh\n")
	block, _, found := strings.Cut(block, "```")
	host, port, err := net.SplitHostPort(f.conf.Host)
	if err != nil || !found || !strings.Contains(block, " acme ") {
		t.Fatalf("the README's block of shell is %q: %v", block, err)
	}
	home := t.TempDir()
	client := fmt.Sprintf("[client]\nhost=%s\nport=%s\nuser=%s\npassword=%s\nprotocol=tcp\n", host, port, f.user, userPassword)
	if err := os.WriteFile(filepath.Join(home, ".my.cnf"), []byte(client), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, good := range map[string]bool{storage.URL + "/x" + query: true, storage.URL + "/x" + query + "0": false} {
		f.exec(t, "UPDATE terra_data_payloads SET payload_url = '"+link+"'")
		cmd := osexec.CommandContext(t.Context(), "sh", "-c", strings.Replace(block, " acme ", " "+f.database+" ", 1))
		cmd.Env = append(os.Environ(), "HOME="+home)
		out, err := cmd.Output()
		if (err == nil) != good || good && string(out) != payload {
			t.Errorf("%s: the README fetches %q, %v", link, out, err)
		}
	}
}

// TestTheDocumentedNumbersMeanWhatIsSaid holds the table of failures against the
// one that decides, but for what the tables of a customer decide.
func TestTheDocumentedNumbersMeanWhatIsSaid(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## When it fails")
	found := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, text := range regexp.MustCompile(`\b[134]\d{3}\b`).FindAllString(cells[1], -1) {
			n, _ := strconv.Atoi(text)
			number := uint16(n)
			x, known := meanings[number]
			switch found++; {
			case denied(number), number == 1049:
			case !known:
				t.Errorf("nothing is known of %d", number)
			case x.about == aboutNothing && x.class.String() != strings.TrimSpace(cells[2]) && !unfit(&driver.MySQLError{Number: number}):
				t.Errorf("%d is %v, and the README says %s", number, x.class, cells[2])
			}
		}
	}
	if found < 50 {
		t.Errorf("%d numbers", found)
	}
}
