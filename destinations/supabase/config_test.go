package supabase

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// key is a key of these claims, signed by nobody.
func key(c project.Claims) string { return project.Sign(c, "nobody's") }

func TestSettingsAreRefusedWithAReason(t *testing.T) {
	const dsn = "postgres://postgres:hidden@db.abc.supabase.co:5432/postgres"
	for name, c := range map[string]struct {
		change func(*Config)
		says   string // "": accepted
	}{
		"as they are":              {func(c *Config) {}, ""},
		"a host":                   {func(c *Config) { c.URL, c.Host = "", "abc.supabase.co" }, ""},
		"a path":                   {func(c *Config) { c.URL = "https://gateway.example/supabase/" }, ""},
		"neither":                  {func(c *Config) { c.URL = "" }, "url: is required"},
		"both":                     {func(c *Config) { c.Host = "abc.supabase.co" }, "host: is there twice"},
		"a host with a path":       {func(c *Config) { c.URL, c.Host = "", "abc/x" }, "host: must be a host"},
		"no host":                  {func(c *Config) { c.URL = "https://" }, "url: names no host"},
		"a host in another script": {func(c *Config) { c.URL = "https://b\u00fccher.example" }, ""},
		"a service of it":          {func(c *Config) { c.URL = "https://abc.supabase.co/rest/v1/" }, "url: must end before /rest/v1, which is one of the services"},
		"storage of it":            {func(c *Config) { c.URL = "https://gateway.example/supabase/storage/v1" }, "url: must end before /storage/v1"},
		"a path with rest":         {func(c *Config) { c.URL = "https://gateway.example/rest/v10" }, ""},
		"the dashboard": {func(c *Config) { c.URL = "https://supabase.com/dashboard/project/abcdefghijklmnopqrst" },
			"url: is a page of the dashboard: give the project's own, https://abcdefghijklmnopqrst.supabase.co"},
		"the older dashboard":      {func(c *Config) { c.URL = "https://app.supabase.com/project/abcdefghijklmnopqrst/settings/api" }, "url: is a page of the dashboard"},
		"a dashboard of one's own": {func(c *Config) { c.URL = "https://gateway.example/dashboard/project/default" }, "url: is a page of the dashboard: give the project's own, https://<reference>"},
		"the database": {func(c *Config) { c.URL = "https://db.abcdefghijklmnopqrst.supabase.co" },
			"url: is the database's host, which belongs into complete.dsn: give the project's own, https://abcdefghijklmnopqrst.supabase.co"},
		"the database as host":   {func(c *Config) { c.URL, c.Host = "", "db.abcdefghijklmnopqrst.supabase.co:5432" }, "host: is the database's host"},
		"the pooler":             {func(c *Config) { c.URL = "https://aws-0-eu-central-1.pooler.supabase.com:6543" }, "url: is the database's host"},
		"storage's host":         {func(c *Config) { c.URL = "https://abcdefghijklmnopqrst.storage.supabase.co" }, "url: is the host of one service (storage)"},
		"the management API":     {func(c *Config) { c.URL = "https://api.supabase.com" }, "url: is the Management API"},
		"the anon key":           {func(c *Config) { c.ServiceRoleKey = secret.New(key(project.Claims{"role": "anon"})) }, "service_role_key: is the key of the role anon, which is public and may write nothing: give the service_role key"},
		"a session's key":        {func(c *Config) { c.ServiceRoleKey = secret.New(key(project.Claims{"role": "authenticated"})) }, "service_role_key: is the key of the role authenticated"},
		"a publishable key":      {func(c *Config) { c.ServiceRoleKey = secret.New("sb_publishable_hidden") }, "service_role_key: is a publishable key"},
		"an access token as key": {func(c *Config) { c.ServiceRoleKey = secret.New("sbp_hidden") }, "service_role_key: is an access token of the Management API"},
		"a secret key":           {func(c *Config) { c.ServiceRoleKey = secret.New("sb_secret_x") }, ""},
		"a role of one's own":    {func(c *Config) { c.ServiceRoleKey = secret.New(key(project.Claims{"role": "fantail"})) }, ""},
		"a key of the project": {func(c *Config) {
			c.URL, c.ServiceRoleKey = "https://abcdefghijklmnopqrst.supabase.co", secret.New(key(project.Claims{"role": "service_role", "ref": "abcdefghijklmnopqrst"}))
		}, ""},
		"a key of another project": {func(c *Config) {
			c.URL, c.ServiceRoleKey = "https://abcdefghijklmnopqrst.supabase.co", secret.New(key(project.Claims{"role": "service_role", "ref": "tsrqponmlkjihgfedcba"}))
		}, "service_role_key: is of the project tsrqponmlkjihgfedcba, and url names another"},
		"a key by a domain of one's own": {func(c *Config) {
			c.ServiceRoleKey = secret.New(key(project.Claims{"role": "service_role", "ref": "tsrqponmlkjihgfedcba"}))
		}, ""},
		"plain":                    {func(c *Config) { c.URL = "http://abc" }, "url: must be https"},
		"plain, allowed":           {func(c *Config) { c.URL, c.AllowHTTP = "http://abc:8000", true }, ""},
		"another scheme":           {func(c *Config) { c.URL = "postgres://abc" }, "url: must begin with https://"},
		"credentials":              {func(c *Config) { c.URL = "https://hidden:hidden@abc" }, "url: must not hold credentials"},
		"a query":                  {func(c *Config) { c.URL = "https://abc?apikey=hidden" }, "url: must end with the host"},
		"a zone":                   {func(c *Config) { c.URL = "https://[fe80::1%25eth0]" }, "url: must not name a zone"},
		"a port":                   {func(c *Config) { c.URL = "https://abc:0" }, "url: has no valid port"},
		"a url that cannot be":     {func(c *Config) { c.URL = "https://a..supabase.co" }, "url: names a host that cannot be"},
		"a host that cannot be":    {func(c *Config) { c.URL, c.Host = "", "*.supabase.co" }, "host: names a host that cannot be"},
		"a DSN that cannot be":     {func(c *Config) { c.Complete.DSN = secret.New("postgres://u:hidden@a..b/db") }, "complete.dsn: names a host that cannot be"},
		"no key":                   {func(c *Config) { c.ServiceRoleKey = secret.Value{} }, "service_role_key: is required"},
		"a key with a line's end":  {func(c *Config) { c.ServiceRoleKey = secret.New("hidden\n") }, "service_role_key: must have visible"},
		"a bucket":                 {func(c *Config) { c.Bucket = "my_bucket-1.x" }, ""},
		"a bad bucket":             {func(c *Config) { c.Bucket = "a/b" }, "bucket: must have"},
		"a quote in the bucket":    {func(c *Config) { c.Bucket = "a'b" }, "bucket: must have"},
		"a bad schema":             {func(c *Config) { c.Schema = `public"; DROP` }, "schema: must have"},
		"a bad identity":           {func(c *Config) { c.PayloadIdentity = "x" }, "payload_identity: must be"},
		"a bad content":            {func(c *Config) { c.Content = "x" }, "content: must be"},
		"a DSN":                    {func(c *Config) { c.Complete.DSN = secret.New(dsn + "?sslmode=require") }, ""},
		"a DSN without its path":   {func(c *Config) { c.Complete.DSN = secret.New("postgres://u:hidden@db") }, "complete.dsn: must name user"},
		"a DSN of words":           {func(c *Config) { c.Complete.DSN = secret.New("host=db password=hidden") }, "complete.dsn: must be a URL"},
		"a DSN of a socket":        {func(c *Config) { c.Complete.DSN = secret.New("postgres://u@/db?host=/tmp") }, "complete.dsn: must name user"},
		"a DSN with two hosts":     {func(c *Config) { c.Complete.DSN = secret.New("postgres://u@a,b/db") }, "complete.dsn: must name one host"},
		"a DSN with a passfile":    {func(c *Config) { c.Complete.DSN = secret.New(dsn + "?passfile=/etc/hidden") }, "complete.dsn: takes no parameter but sslmode"},
		"a DSN with a certificate": {func(c *Config) { c.Complete.DSN = secret.New(dsn + "?sslrootcert=/etc/hidden") }, "complete.dsn: takes no parameter but sslmode"},
		"a DSN that may be plain":  {func(c *Config) { c.Complete.DSN = secret.New(dsn + "?sslmode=prefer") }, "complete.dsn: sslmode must be"},
		"a DSN with no real CA": {func(c *Config) {
			c.Complete.DSN, c.Complete.CA = secret.New(dsn), secret.New("hidden")
		}, "complete.dsn: sslmode must be"},
		"a DSN of a socket's path": {func(c *Config) { c.Complete.DSN = secret.New("postgres://u@%2Ftmp/db") }, "complete.dsn: must be host names"},
		"a CA alone":               {func(c *Config) { c.Complete.CA = secret.New("x") }, "complete.ca: has no meaning"},
		"two ways":                 {func(c *Config) { c.Complete.RPC, c.Complete.PGQuery = true, true }, "choose one"},
		"a token":                  {func(c *Config) { c.Complete.AccessToken = secret.New("sbp_x") }, ""},
		"a bad token":              {func(c *Config) { c.Complete.AccessToken = secret.New("hidden x") }, "complete.access_token: must have visible"},
		"a bad project":            {func(c *Config) { c.Complete.AccessToken, c.Complete.Project = secret.New("x"), "a/b" }, "complete.project: must be"},
		"a project alone":          {func(c *Config) { c.Complete.Project = "a" }, "complete.project: has no meaning"},
		"a bad API":                {func(c *Config) { c.Complete.AccessToken, c.Complete.API = secret.New("x"), "http://x" }, "complete.api: must be https"},
		"several at once ":         {func(c *Config) { c.Schema, c.Content = "", "" }, "schema: must have 1 to 63 of a-z 0-9 _ and not begin with a digit\ncontent: must be"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := defaults()
			conf.URL, conf.ServiceRoleKey = "https://abc.supabase.co", secret.New("key")
			c.change(&conf)
			err := conf.Validate()
			if c.says == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%v, want %s", err, c.says)
			}
		})
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"dsn":   func(c *Config) { c.Complete.DSN = secret.New("postgres://u:hidden-dsn@db/x") },
		"token": func(c *Config) { c.Complete.AccessToken = secret.New("hidden-token") },
	} {
		conf := defaults()
		conf.URL, conf.ServiceRoleKey = "https://abc.supabase.co", secret.New("hidden-key")
		change(&conf)
		d := openWith(t, conf, destination.Deps{HTTP: &http.Client{}, Brand: "terra"})
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(verb, d) + fmt.Sprintf(verb, conf); strings.Contains(text, "hidden") {
				t.Errorf("%s: %s shows %s", name, verb, text)
			}
		}
	}
}
