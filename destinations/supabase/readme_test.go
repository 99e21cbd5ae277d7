package supabase

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// The SQL that people are told to run does run, and does what it is said to.
func TestTheSQLOfTheReadmeRuns(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var sql []string
	for _, b := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllSubmatch(text, -1) {
		sql = append(sql, string(b[1]))
	}
	if len(sql) != 6 {
		t.Fatalf("%d examples", len(sql))
	}
	bucket, service, own, query, recent, policy := sql[0], sql[1], sql[2], sql[3], sql[4], sql[5]
	p := project.On(t, servers.PrivatePostgres(t).DSN) // own makes a role, which all databases of a server share
	settle(t, p)
	p.Exec(t, "UPDATE storage.buckets SET id = 'another', name = 'another'", bucket)
	p.Exec(t, "REVOKE ALL ON ALL TABLES IN SCHEMA public, storage FROM service_role", "REVOKE ALL ON SCHEMA public, storage FROM service_role, PUBLIC", "ALTER ROLE service_role NOBYPASSRLS")
	wantClass(t, opened(t, p).Check(t.Context()), misconfigured, "permission denied for schema public")
	p.Exec(t, service)
	latest := day(2, "01")
	events := []*event.Event{happened(t, 1, day(1, "00")), happened(t, 2, latest), happened(t, 3, strings.Replace(day(3, "00"), "start_time", "no_time", 1))}
	d := opened(t, p)
	if err := d.Check(t.Context()); err != nil {
		t.Errorf("with the rights of the README: %v", err)
	}
	send(t, d, events[:2]...)

	p.Exec(t, own)
	d = opened(t, p, func(c *Config) { c.ServiceRoleKey = secret.New(p.Issue(project.Claims{"role": "fantail"})) })
	if err := d.Check(t.Context()); err != nil {
		t.Errorf("with a role of one's own: %v", err)
	}
	send(t, d, events...)
	send(t, d, happened(t, 4, `{"type":"auth","status":"success","user":{"user_id":"u","reference_id":"me","scopes":"s"}}`))

	p.Exec(t, recent)
	var object string
	if err := p.DB.QueryRow("SELECT object FROM (" + strings.TrimRight(query, ";\n") + ") q").Scan(&object); err != nil || string(p.Objects("terra-payloads")[object]) != latest {
		t.Errorf("the latest daily is %q, which holds %s: %v", object, p.Objects("terra-payloads")[object], err)
	}

	p.Exec(t, policy)
	for claims, want := range map[string]int{"": 0, `{"sub":"me"}`: 1, `{"sub":"you"}`: 0} {
		var n int
		tx, err := p.DB.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"SELECT set_config('request.jwt.claims', '" + claims + "', true)", "SET LOCAL ROLE authenticated"} {
			if _, err := tx.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.QueryRow("SELECT count(*) FROM terra_users").Scan(&n); err != nil || n != want {
			t.Errorf("with the claims %q: %d rows, %v", claims, n, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}

// The consumer of the README finds what was written, and fails where it may not
// look instead of finding nothing.
func TestTheConsumerOfTheReadme(t *testing.T) {
	source, err := os.ReadFile("consumer.mjs")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readme, []byte("```js\n"+string(source)+"```\n")) || bytes.Count(readme, []byte("```js")) != 1 {
		t.Error("README.md shows another consumer than the one that is tested")
	}
	p := settled(t)
	older, newer := day(1, "00"), day(2, "00")
	send(t, opened(t, p), happened(t, 1, older), happened(t, 2, newer), happened(t, 3, strings.Replace(day(3, "00"), "start_time", "no_time", 1)))
	user := p.Rows(t, "terra_users", "user_id")[0]["user_id"]
	got, fault := consume(t, p, p.Key, user)
	var have, want any
	if fault != "" || json.Unmarshal([]byte(got), &have) != nil || json.Unmarshal([]byte(newer), &want) != nil || toText(have) != toText(want) {
		t.Errorf("the latest day is %s %s, want %s", got, fault, newer)
	}
	if got, fault := consume(t, p, p.Key, "nobody"); fault != "" || got != "null" {
		t.Errorf("the latest day of nobody is %s %s", got, fault)
	}
	if got, fault := consume(t, p, p.Key+"x", user); fault == "" {
		t.Errorf("with a forged key it finds %s", got)
	}
	p.RenameBucket("terra-payloads", "elsewhere")
	if got, fault := consume(t, p, p.Key, user); fault == "" {
		t.Errorf("without its object it finds %s", got)
	}
}

func toText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// consume runs the consumer in a folder where its library is found.
func consume(t *testing.T, p *project.Project, key, user string) (out, fault string) {
	t.Helper()
	dir := t.TempDir()
	source, err := os.ReadFile("consumer.mjs")
	if err != nil {
		t.Fatal(err)
	}
	run := `import { latestDaily } from "./consumer.mjs";
const result = await latestDaily(process.argv[2]).then((event) => ({ event }), (e) => ({ fault: String(e.message ?? e) || "a fault" }));
process.stdout.write(JSON.stringify(result), () => process.exit(0));`
	for name, text := range map[string]string{"consumer.mjs": string(source), "run.mjs": run} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	modules, err := filepath.Abs("../../test/integration/receivers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), servers.Node(t), filepath.Join(dir, "run.mjs"), user)
	cmd.Env = append(os.Environ(), "SUPABASE_URL="+p.URL, "SUPABASE_KEY="+key)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v (run: make setup)\n%s", err, stderr.String())
	}
	var result struct {
		Event json.RawMessage
		Fault string
	}
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		t.Fatalf("%s: %v", stdout.String(), err)
	}
	return string(result.Event), result.Fault
}
