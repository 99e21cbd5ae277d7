package supabase_test

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// reply is what a service answered.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask makes a request with the headers of name and value in turn.
func ask(t *testing.T, p *supabase.Project, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
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
	return reply{resp.StatusCode, resp.Header, string(text)}
}

func (r reply) is(t *testing.T, name string, status int, body string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, body) {
		t.Errorf("%s: %d %s, want %d %s", name, r.status, r.body, status, body)
	}
}

const key = "/storage/v1/object/terra-payloads/a.json"

func with(key string, more ...string) []string {
	return append([]string{"Authorization", "Bearer " + key, "apikey", key, "Content-Type", "application/json"}, more...)
}

// The tests of this file cover where storage-api 1.11.2 and this stand-in differed, when both were sent
// 106 requests. Each expects the answer of the real one.

func TestStorageJudgesKeys(t *testing.T) {
	p := supabase.Start(t)
	claims := func(name string, at time.Time) supabase.Claims {
		return supabase.Claims{"role": "service_role", name: at.Unix()}
	}
	refused := func(message string) string {
		text, _ := json.Marshal(message)
		return `{"statusCode":"403","error":"Unauthorized","message":` + string(text) + `,"code":"AccessDenied"}`
	}
	for name, c := range map[string]struct{ key, body string }{
		"wrong signature": {supabase.Sign(supabase.Claims{"role": "service_role"}, "another"), refused("signature verification failed")},
		"expired":         {p.Issue(claims("exp", time.Now().Add(-time.Minute))), refused(`"exp" claim timestamp check failed`)},
		"not yet":         {p.Issue(claims("nbf", time.Now().Add(time.Hour))), refused(`"nbf" claim timestamp check failed`)},
		"garbage":         {"garbage", refused("Invalid Compact JWS")},
		"a secret key":    {"sb_secret_another", refused("Invalid Compact JWS")},
	} {
		ask(t, p, "POST", key, "{}", with(c.key)...).is(t, name, 400, c.body)
	}
	ask(t, p, "POST", key, "{}").is(t, "no authorization", 400, `{"statusCode":"400","error":"Error","message":"headers must have required property 'authorization'","code":"InvalidRequest"}`)
	ask(t, p, "POST", key, "{}", with(p.SecretKey)...).is(t, "this project's secret key", 200, `"Key"`)
}

func TestStorageJudgesRoles(t *testing.T) {
	p := supabase.Start(t)
	ask(t, p, "POST", key, "{}", with(p.Anon)...).is(t, "anon uploads", 400, `"message":"new row violates row-level security policy","code":"AccessDenied"`)
	ask(t, p, "GET", "/storage/v1/bucket/terra-payloads", "", with(p.Anon)...).is(t, "anon looks", 400, `"NoSuchBucket"`)
	p.Restrict("terra-payloads", false, 0, "image/png")
	ask(t, p, "POST", key, "{}", with(p.Anon)...).is(t, "anon with another type", 400, `"InvalidMimeType"`)
	p.Restrict("terra-payloads", false, 0)
	unknown := p.Issue(supabase.Claims{"role": "nobody_of_that_name"})
	ask(t, p, "POST", key, "{}", with(unknown)...).is(t, "an unknown role", 500, `"message":"database error, code: 22023","code":"DatabaseError"`)
	p.Exec(t, "REVOKE ALL ON storage.objects FROM service_role")
	ask(t, p, "POST", key, "{}", with(p.Key)...).is(t, "no right to objects", 400, `"statusCode":"403","error":"Unauthorized","message":"permission denied for table objects"`)
	p.Exec(t, "GRANT ALL ON storage.objects TO service_role", "REVOKE USAGE ON SCHEMA storage FROM service_role")
	ask(t, p, "POST", key, "{}", with(p.Key)...).is(t, "no right to the schema", 400, `"message":"permission denied for schema storage"`)
}

func TestStorageWithoutItsDatabase(t *testing.T) {
	server := servers.PrivatePostgres(t)
	p := supabase.On(t, server.DSN)
	p.ReadOnly(true)
	ask(t, p, "POST", key, "{}", with(p.Key)...).is(t, "read-only", 400, `"statusCode":"503","error":"DatabaseReadOnly","message":"The database is currently in read-only mode. Please try again later."`)
	p.ReadOnly(false)
	p.Full(true)
	ask(t, p, "POST", key, "{}", with(p.Key)...).is(t, "too many connections", 429, `{"statusCode":"429","error":"too_many_connections","message":"Too many connections issued to the database","code":"SlowDown"}`)
	p.Full(false)
	p.Patience(50 * time.Millisecond)
	tx, err := p.DB.BeginTx(t.Context(), &sql.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("LOCK TABLE storage.objects"); err != nil {
		t.Fatal(err)
	}
	ask(t, p, "POST", key, "{}", with(p.Key)...).is(t, "locked", 544, `"message":"The connection to the database timed out","code":"DatabaseTimeout"`)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	ask(t, p, "POST", key, "{}", with(p.Key)...).is(t, "down", 500, `{"statusCode":"500","error":"Internal","message":"Internal Server Error","code":"InternalError"}`)
	server.Start()
}

func TestStorageJudgesObjects(t *testing.T) {
	p := supabase.Start(t)
	large := strings.Repeat("x", 50<<20+1)
	ask(t, p, "POST", key, large, with(p.Key)...).is(t, "50 MiB and one", 400, `"statusCode":"413","error":"Payload too large","message":"The object exceeded the maximum allowed size","code":"EntityTooLarge"`)
	p.Restrict("terra-payloads", false, 1)
	ask(t, p, "POST", "/storage/v1/object/terra-payloads/%5B", "{}", with(p.Key)...).is(t, "too large, and a bad name", 400, `"EntityTooLarge"`)
	p.Restrict("terra-payloads", false, 0)
	for name, c := range map[string]struct {
		path   string
		status int
		body   string
	}{
		"a bad name":             {"/storage/v1/object/terra-payloads/%5B", 400, `"message":"Invalid key: [","code":"InvalidKey"`},
		"a dot":                  {"/storage/v1/object/terra-payloads/a/%2E/b", 400, `"InvalidKey"`},
		"two dots":               {"/storage/v1/object/terra-payloads/a/%2E%2E/b", 400, `"InvalidKey"`},
		"too long for a file":    {"/storage/v1/object/terra-payloads/" + strings.Repeat("a", 1024), 500, `"InternalError"`},
		"a bucket in escapes":    {"/storage/v1/object/terra%2Dpayloads/b.json", 200, `"Key":"terra-payloads/b.json"`},
		"a long bucket":          {"/storage/v1/object/" + strings.Repeat("a", 101) + "/b", 400, `"error":"Invalid Input","message":"Bucket name invalid","code":"InvalidBucketName"`},
		"a question mark is one": {"/storage/v1/object/terra-payloads/a%3Fb", 200, `"Key":"terra-payloads/a?b"`},
		"no such bucket":         {"/storage/v1/object/other/a", 400, `{"statusCode":"404","error":"Bucket not found","message":"Bucket not found","code":"NoSuchBucket"}`},
		"no such route":          {"/storage/v1/object/terra-payloads", 404, `"message":"Route POST:/object/terra-payloads not found"`},
	} {
		ask(t, p, "POST", c.path, "{}", with(p.Key)...).is(t, name, c.status, c.body)
	}
	ask(t, p, "POST", key, "{}", with(p.Key, "Content-Type", "nonsense")...).is(t, "no type at all", 400, `{"statusCode":"415","error":"invalid_mime_type","message":"Invalid Content-Type header","code":"InvalidMimeType"}`)

	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /storage/v1/object/terra-payloads/%%zz HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	reply{resp.StatusCode, resp.Header, string(text)}.is(t, "a path that cannot be", 400, `"code":"FST_ERR_BAD_URL","error":"Bad Request"`)
}

func TestStorageDescribesBuckets(t *testing.T) {
	p := supabase.Start(t)
	const path = "/storage/v1/bucket/terra-payloads"
	p.Restrict("terra-payloads", true, 7, "image/*", "application/json")
	r := ask(t, p, "GET", path, "", with(p.Key)...)
	r.is(t, "a bucket", 200, `{"id":"terra-payloads","name":"terra-payloads","owner":"","public":true,"file_size_limit":7,"allowed_mime_types":["image/*","application/json"],"created_at":"2`)
	r.is(t, "a bucket", 200, `"updated_at":"2`)
	ask(t, p, "GET", path+"/", "", with(p.Key)...).is(t, "with a slash", 404, "Route GET:/bucket/terra-payloads/ not found")
	ask(t, p, "GET", "/storage/v1/bucket", "", with(p.Key)...).is(t, "a list", 200, `[{"id":"terra-payloads"`)
	ask(t, p, "GET", "/storage/v1/bucket", "", with(p.Anon)...).is(t, "anon's list", 200, "[]")
	for kind, status := range map[string]int{"application/json": 200, "image/gif": 200, "text/plain": 400, "application/pdf": 400} {
		ask(t, p, "POST", key, "{}", with(p.Key, "Content-Type", kind, "x-upsert", "true")...).is(t, kind, status, "")
	}
	ask(t, p, "POST", key, "12345678", with(p.Key)...).is(t, "too large", 400, `"EntityTooLarge"`)
}

func TestStorageKeepsObjects(t *testing.T) {
	p := supabase.Start(t)
	const path = "/storage/v1/object/terra-payloads/a&b/c.json"
	var first, second struct{ Key, Id string } //nolint:revive,staticcheck // as storage writes it
	r := ask(t, p, "POST", path, `{"n":1}`, with(p.Key)...)
	r.is(t, "an upload", 200, `{"Key":"terra-payloads/a&b/c.json","Id":"`)
	ask(t, p, "POST", path, `{"n":2}`, with(p.Key)...).is(t, "again", 400, `{"statusCode":"409","error":"Duplicate","message":"The resource already exists","code":"KeyAlreadyExists"}`)
	again := ask(t, p, "PUT", path, `{"n":2}`, with(p.Key)...)
	if json.Unmarshal([]byte(r.body), &first) != nil || json.Unmarshal([]byte(again.body), &second) != nil || first != second || first.Id == "" {
		t.Errorf("%s, then %s: the Id stays", r.body, again.body)
	}
	for name, c := range map[string]struct{ method, path, body, says string }{
		"get":           {"GET", path, "", `{"n":2}`},
		"authenticated": {"GET", "/storage/v1/object/authenticated/terra-payloads/a&b/c.json", "", `{"n":2}`},
		"head":          {"HEAD", path, "", ""},
		"info":          {"GET", "/storage/v1/object/info/terra-payloads/a&b/c.json", "", `"size":7`},
		"list":          {"POST", "/storage/v1/object/list/terra-payloads", `{"prefix":"a&b"}`, `"name":"c.json"`},
		"list folders":  {"POST", "/storage/v1/object/list/terra-payloads", `{"prefix":""}`, `"id":null,"name":"a&b"`},
	} {
		ask(t, p, c.method, c.path, c.body, with(p.Key)...).is(t, name, 200, c.says)
	}
	got := ask(t, p, "GET", path, "", with(p.Key)...)
	if got.header.Get("ETag") != `"`+fmt.Sprintf("%x", md5Of(`{"n":2}`))+`"` || got.header.Get("Cache-Control") != "no-cache" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", got.header)
	}
	var link struct{ SignedURL string }
	signed := ask(t, p, "POST", "/storage/v1/object/sign/terra-payloads/a&b/c.json", `{"expiresIn":60}`, with(p.Key)...)
	if json.Unmarshal([]byte(signed.body), &link) != nil || !strings.HasPrefix(link.SignedURL, "/object/sign/terra-payloads/a&b/c.json?token=") {
		t.Errorf("%s", signed.body)
	}
	ask(t, p, "GET", "/storage/v1"+link.SignedURL, "").is(t, "by a link", 200, `{"n":2}`)
	ask(t, p, "GET", "/storage/v1"+link.SignedURL+"x", "").is(t, "by a forged link", 400, `"InvalidJWT"`)
	ask(t, p, "GET", path, "").is(t, "by nobody", 400, `"NoSuchBucket"`)
	ask(t, p, "GET", path, "", with(p.Anon)...).is(t, "by anon", 400, `"NoSuchKey"`)
	p.Restrict("terra-payloads", true, 0)
	ask(t, p, "GET", path, "").is(t, "by nobody, public", 200, `{"n":2}`)
	ask(t, p, "DELETE", path, "", with(p.Anon)...).is(t, "anon deletes", 400, `"message":"Access denied"`)
	ask(t, p, "DELETE", path, "", with(p.Key)...).is(t, "delete", 200, `{"message":"Successfully deleted"}`)
	ask(t, p, "DELETE", path, "", with(p.Key)...).is(t, "delete again", 400, `{"statusCode":"404","error":"not_found","message":"Object not found","code":"NoSuchKey"}`)
}
