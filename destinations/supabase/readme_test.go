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

	"github.com/seed-51f8da91/fantail/test/servers"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// The SQL that people are told to run does run.
func TestTheSQLOfTheReadmeRuns(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	p := settled(t)
	p.Exec(t, "UPDATE storage.buckets SET id = 'another', name = 'another'") // the first block makes it
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllSubmatch(text, -1)
	p.Exec(t, string(blocks[0][1]))
	latest := day(2, "01")
	send(t, opened(t, p), happened(t, 1, day(1, "00")), happened(t, 2, latest), happened(t, 3, strings.Replace(day(3, "00"), "start_time", "no_time", 1)))
	if len(blocks) != 4 {
		t.Errorf("%d examples", len(blocks))
	}
	for _, b := range blocks[1:] {
		p.Exec(t, string(b[1]))
	}
	var object string
	if err := p.DB.QueryRow("SELECT object FROM (" + string(regexp.MustCompile(`;\s*$`).ReplaceAll(blocks[1][1], nil)) + ") q").Scan(&object); err != nil || string(p.Objects("terra-payloads")[object]) != latest {
		t.Errorf("the latest daily is %q, which holds %s: %v", object, p.Objects("terra-payloads")[object], err)
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
