package supabase

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/endpoint"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Definition is the kind "supabase"; see destinations/all.
//
// Its timeout of five minutes is for the hundreds of objects that an event may
// be.
// Serial: rows and objects under natural identities are those of the last event about the same thing.
func (c Config) Serial() bool { return c.PayloadIdentity == identityNatural }

func Definition() destination.Definition {
	return destination.Define("supabase", destination.Traits{Timeout: 5 * time.Minute}, defaults, open)
}

// The values of payload_identity and content.
const (
	identityEvent   = "event"
	identityNatural = "natural"

	contentEvent = "event"
	contentItem  = "item"
)

// Config is the settings of one project.
type Config struct {
	// URL is that of the project, https://<reference>.supabase.co, or of a
	// gateway of one's own. Host is the same without https://.
	URL       string `yaml:"url"`
	Host      string `yaml:"host"`
	AllowHTTP bool   `yaml:"allow_http"`

	ServiceRoleKey secret.Value `yaml:"service_role_key"`
	Bucket         string       `yaml:"bucket"` // "": {brand}-payloads
	Schema         string       `yaml:"schema"` // of the tables; PostgREST must expose it

	// PayloadIdentity is "event", a row and an object of its own for each item of
	// each event, or "natural", those of the last event about the same thing.
	PayloadIdentity string `yaml:"payload_identity"`
	// Content is "event", an item with the event around it, or "item", the item
	// with the event's user in it.
	Content string `yaml:"content"`

	// Complete says how tables and columns that are missing are made.
	Complete Complete `yaml:"complete"`
}

// Complete is one of four ways to run SQL in the project, or none.
type Complete struct {
	DSN         secret.Value `yaml:"dsn"`          // postgres://user:password@host:port/database?sslmode=...
	CA          secret.Value `yaml:"ca"`           // PEM of who signs the database's certificate
	PGQuery     bool         `yaml:"pg_query"`     // {url}/pg/query of self-hosted projects
	RPC         bool         `yaml:"rpc"`          // the function of function.sql
	AccessToken secret.Value `yaml:"access_token"` // of the platform's Management API
	Project     string       `yaml:"project"`      // its reference, "": the first part of the url's host
	API         string       `yaml:"api"`          // where the Management API is
}

func defaults() Config {
	return Config{Schema: "public", PayloadIdentity: identityEvent, Content: contentEvent,
		Complete: Complete{API: "https://api.supabase.com"}}
}

var (
	identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
	bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	reference  = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
)

// Validate reports every fault at once, joined, each beginning with the path
// of its setting. No message shows a value that may be a credential.
func (c Config) Validate() error {
	var faults []error
	at := func(path string, wrong bool, text string) {
		if wrong {
			faults = append(faults, fmt.Errorf("%s: %s", path, text))
		}
	}
	u, err := c.project()
	if err != nil {
		faults = append(faults, err)
	}
	at("service_role_key", c.ServiceRoleKey.IsZero(), "is required: see Project Settings > API Keys")
	at("service_role_key", !visible(c.ServiceRoleKey.Reveal()), "must have visible ASCII characters only, no line's end")
	wrong := wrongKey(c.ServiceRoleKey.Reveal(), u)
	at("service_role_key", wrong != "", wrong)
	at("bucket", c.Bucket != "" && !bucketName.MatchString(c.Bucket), "must have 1 to 100 of A-Z a-z 0-9 . _ - and begin with a letter or digit")
	at("schema", !identifier.MatchString(c.Schema), "must have 1 to 63 of a-z 0-9 _ and not begin with a digit")
	at("payload_identity", c.PayloadIdentity != identityEvent && c.PayloadIdentity != identityNatural, "must be event or natural")
	at("content", c.Content != contentEvent && c.Content != contentItem, "must be event or item")
	return errors.Join(append(faults, c.Complete.check(u, c.AllowHTTP)...)...)
}

func (c Complete) check(project *url.URL, allowHTTP bool) (faults []error) {
	at := func(path, text string) { faults = append(faults, fmt.Errorf("complete.%s: %s", path, text)) }
	ways := 0
	for _, used := range []bool{!c.DSN.IsZero(), c.PGQuery, c.RPC, !c.AccessToken.IsZero()} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		faults = append(faults, errors.New("complete: names several of dsn, pg_query, rpc and access_token: choose one"))
	}
	if !c.DSN.IsZero() {
		if _, err := readDSN(c.DSN, c.CA); err != nil {
			faults = append(faults, err)
		}
	} else if !c.CA.IsZero() {
		at("ca", "has no meaning without complete.dsn")
	}
	if c.AccessToken.IsZero() {
		if c.Project != "" {
			at("project", "has no meaning without complete.access_token")
		}
		return faults
	}
	if !visible(c.AccessToken.Reveal()) {
		at("access_token", "must have visible ASCII characters only, no line's end")
	}
	if project != nil && !reference.MatchString(c.reference(project)) {
		at("project", "must be the project's reference, of a-z 0-9 -")
	}
	if _, err := parseURL(c.API, allowHTTP); err != nil {
		at("api", err.Error())
	}
	return faults
}

// reference is how the Management API knows the project.
func (c Complete) reference(project *url.URL) string {
	if c.Project != "" {
		return c.Project
	}
	first, _, _ := strings.Cut(project.Hostname(), ".")
	return first
}

// project is where the project's gateway is.
func (c Config) project() (*url.URL, error) {
	switch {
	case c.URL != "" && c.Host != "":
		return nil, errors.New("host: is there twice, url names it, too")
	case c.Host != "" && strings.ContainsAny(c.Host, "/?#@"):
		return nil, errors.New("host: must be a host, with its port if need be: for more use url")
	case c.Host != "":
		u, err := parseURL("https://"+c.Host, false)
		return judged("host", u, err)
	}
	u, err := parseURL(c.URL, c.AllowHTTP)
	return judged("url", u, err)
}

func judged(path string, u *url.URL, err error) (*url.URL, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if wrong := wrongURL(u); wrong != "" {
		return nil, fmt.Errorf("%s: %s", path, wrong)
	}
	return u, nil
}

// parseURL reads where a service is, without a slash at the end. Its errors
// never show the text.
func parseURL(text string, allowHTTP bool) (*url.URL, error) {
	u, err := endpoint.Parse(text, allowHTTP)
	switch {
	case text == "":
		return nil, errors.New("is required, such as https://<reference>.supabase.co")
	case err != nil:
		return nil, err
	case strings.Contains(text, "?"):
		return nil, errors.New("must end with the host or a path: no query")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

func visible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
