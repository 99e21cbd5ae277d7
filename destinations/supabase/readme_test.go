package supabase

import (
	"os"
	"regexp"
	"testing"
)

// The SQL that people are told to run does run.
func TestTheSQLOfTheReadmeRuns(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	p := settled(t)
	p.Exec(t, "CREATE SCHEMA storage", "CREATE TABLE storage.buckets (id TEXT PRIMARY KEY, name TEXT NOT NULL, public BOOLEAN)")
	send(t, opened(t, p), happened(t, 1, day(1, "00")), happened(t, 2, day(2, "01")))
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) != 4 {
		t.Errorf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		p.Exec(t, string(b[1]))
	}
	var object string
	if err := p.DB.QueryRow("SELECT object FROM (" + string(regexp.MustCompile(`;\s*$`).ReplaceAll(blocks[1][1], nil)) + ") q").Scan(&object); err != nil || p.Objects("terra-payloads")[object] == nil {
		t.Errorf("the latest daily is %q, which is no object: %v", object, err)
	}
}
