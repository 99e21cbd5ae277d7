package supabase_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers/supabase"
)

func TestAnswersAreTheRecordedOnes(t *testing.T) {
	p := supabase.Start(t)
	p.Exec(t, "CREATE TABLE t (a TEXT PRIMARY KEY, b INT)", "GRANT SELECT, INSERT, UPDATE ON t TO service_role", "CREATE TABLE closed (a TEXT)")
	p.Reload(t)
	p.Exec(t, "CREATE TABLE unknown (a TEXT)", "ALTER TABLE t ADD COLUMN c TEXT")
	const ignore, merge, rows = "resolution=ignore-duplicates,return=representation", "resolution=merge-duplicates,return=minimal", "return=representation"
	for _, c := range []struct {
		name, method, path, prefer, body string
		status                           int
		says                             string
	}{
		{"a new row", "POST", "/rest/v1/t?on_conflict=a&select=a", ignore, `[{"a":"x","b":1}]`, 201, `[{"a":"x"}]`},
		{"the same again", "POST", "/rest/v1/t?on_conflict=a&select=a", ignore, `[{"a":"x","b":2}]`, 201, "[]"},
		{"none", "POST", "/rest/v1/t?select=a", rows, "[]", 201, "[]"},
		{"a duplicate", "POST", "/rest/v1/t", "", `[{"a":"x"}]`, 409, "23505"},
		{"merged", "POST", "/rest/v1/t?on_conflict=a", merge, `[{"a":"x","b":3}]`, 201, ""},
		{"read", "GET", "/rest/v1/t?a=eq.x&select=a,b", "", "", 200, `[{"a":"x","b":3}]`},
		{"read none", "GET", "/rest/v1/t?a=eq.&limit=0", "", "", 200, "[]"},
		{"changed", "PATCH", "/rest/v1/t?a=eq.x&or=(b.is.null,b.lt.4)&select=a", rows, `{"b":4}`, 200, `[{"a":"x"}]`},
		{"guarded", "PATCH", `/rest/v1/t?a=eq.x&or=(b.is.null,b.lt."4")&or=(a.gt."a")&select=a`, rows, `{"b":5}`, 200, "[]"},
		{"changed without a word", "PATCH", "/rest/v1/t?a=eq.x", "", `{"b":6}`, 204, ""},
		{"a filter that is none", "GET", "/rest/v1/t?a=like.x", "", "", 400, "PGRST100"},
		{"a list that is none", "GET", "/rest/v1/t?or=(a.eq.x.y)", "", "", 400, "PGRST100"},
		{"an empty list", "GET", "/rest/v1/t?or=()", "", "", 400, "PGRST100"},
		{"a column that the cache does not know", "POST", "/rest/v1/t", "", `[{"a":"y","c":"z"}]`, 400, "PGRST204"},
		{"a table that the cache does not know", "GET", "/rest/v1/unknown", "", "", 404, "PGRST205"},
		{"a column that does not exist", "GET", "/rest/v1/t?select=d", "", "", 400, "42703"},
		{"no key for the conflict", "POST", "/rest/v1/t?on_conflict=b", ignore, `[{"a":"y"}]`, 400, "42P10"},
		{"no right", "GET", "/rest/v1/closed", "", "", 403, "42501"},
		{"different keys", "POST", "/rest/v1/t", "", `[{"a":"y"},{"b":1}]`, 400, "PGRST102"},
		{"a bad value", "POST", "/rest/v1/t", "", `[{"a":"y","b":"z"}]`, 400, "22P02"},
		{"no function", "POST", "/rest/v1/rpc/f", "", "{}", 404, "PGRST202"},
		{"an object", "POST", "/storage/v1/object/terra-payloads/a/b.json", "", "{}", 200, `"Key":"terra-payloads/a/b.json"`},
		{"the same object", "POST", "/storage/v1/object/terra-payloads/a/b.json", "", "{}", 400, `"409"`},
		{"no bucket", "POST", "/storage/v1/object/other/b.json", "", "{}", 400, `"NoSuchBucket"`},
		{"a bad name", "POST", "/storage/v1/object/terra-payloads/%5B.json", "", "{}", 400, `"InvalidKey"`},
		{"the bucket", "GET", "/storage/v1/bucket/terra-payloads", "", "", 200, `"public":false`},
		{"no /pg", "POST", "/pg/query", "", "{}", 404, "no Route"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, body := call(t, p, c.method, c.path, c.prefer, c.body, p.Key); status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d %s, want %d %s", status, body, c.status, c.says)
			}
		})
	}
	for _, key := range []string{"", "other"} {
		if status, body := call(t, p, "GET", "/rest/v1/t", "", "", key); status != 401 || !strings.Contains(body, "API key") {
			t.Errorf("with the key %q: %d %s", key, status, body)
		}
	}
	p.Fault(supabase.BadGateway)
	if status, body := call(t, p, "GET", "/rest/v1/t", "", "", p.Key); status != 502 || !strings.HasPrefix(body, "<html>") {
		t.Errorf("%d %s", status, body)
	}
}

func TestTheCacheGoesStaleUntilNotified(t *testing.T) {
	p := supabase.Start(t)
	p.Deaf(true)
	p.Exec(t, "CREATE TABLE t (a TEXT)", "GRANT SELECT ON t TO service_role", "NOTIFY pgrst, 'reload schema'")
	if status, body := call(t, p, "GET", "/rest/v1/t", "", "", p.Key); status != 404 {
		t.Errorf("deaf: %d %s", status, body)
	}
	p.Reload(t)
	if status, body := call(t, p, "GET", "/rest/v1/t", "", "", p.Key); status != 200 {
		t.Errorf("reloaded: %d %s", status, body)
	}
	p.Deaf(false)
	p.Exec(t, "ALTER TABLE t ADD COLUMN b TEXT", "NOTIFY pgrst, 'reload schema'")
	p.Await(t, "t", "b")
}

func call(t *testing.T, p *supabase.Project, method, path, prefer, body, key string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+strings.ReplaceAll(path, `"`, "%22"), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Prefer", prefer)
	if key != "" {
		req.Header.Set("apikey", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
