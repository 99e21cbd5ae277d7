package supabase

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

// meaning is what an answer says about the next attempt.
type meaning struct {
	class  destination.Class
	advice string // what to do about it; {bucket} and {schema} are filled in
	does   part   // which SQL of the table mends it
}

// part is a part of a table that may be missing.
type part int

const (
	nothing part = iota
	rights
	columns
	unique
	everything
)

const (
	badKey  = "see that service_role_key is the service_role or secret key of this very project, in Project Settings > API Keys"
	badURL  = "see that url is that of the project's API, in Project Settings > Data API"
	ownOnly = "a column of yours must take NULL or have a default"
)

// bySQLState is what PostgREST's own codes and PostgreSQL's mean, the latter by
// the whole code, else by its class of two characters. What is missing is read
// by its HTTP status.
var bySQLState = map[string]meaning{
	"PGRST204": {does: columns},
	"PGRST205": {does: everything},
	"42P01":    {does: everything},
	"42703":    {does: columns},
	"42P10":    {does: unique},
	"42501":    {class: destination.Misconfigured, does: rights},
	"PGRST106": {destination.Misconfigured, "add {schema} to the exposed schemas in Project Settings > Data API (PGRST_DB_SCHEMAS on self-hosted projects), or set schema", nothing},
	"3F000":    {destination.Misconfigured, "the schema {schema} does not exist", nothing},
	"PGRST300": {},
	"PGRST301": {destination.Misconfigured, badKey, nothing},
	"PGRST302": {destination.Misconfigured, badKey, nothing},
	"PGRST303": {destination.Misconfigured, badKey, nothing},
	"42804":    {destination.Misconfigured, "a column is of another type than the documentation of this kind has it", nothing},
	"428C9":    {destination.Misconfigured, "a column is generated: see the table of columns in the documentation of this kind", nothing},
	"0A000":    {destination.Misconfigured, "the tables must be ordinary tables", nothing},
	"23502":    {destination.Misconfigured, ownOnly, nothing},
	"23503":    {}, // what it refers to may still come
	"25006":    {advice: "the database takes no writes: a full disk is one reason, see Database > Settings"},
	"22":       {class: destination.Rejected}, // data exception
	"23":       {class: destination.Rejected}, // a constraint
	"54":       {class: destination.Rejected}, // too large for the server, such as for an index
	"08":       {}, "25": {}, "40": {}, "53": {}, "55": {}, "57": {}, "58": {}, "XX": {},
}

// byStorage is what storage's codes mean.
var byStorage = map[string]meaning{
	"NoSuchBucket":      {destination.Misconfigured, "create the private bucket {bucket} under Storage, or run: INSERT INTO storage.buckets (id, name, public) VALUES ('{bucket}', '{bucket}', false)", nothing},
	"InvalidBucketName": {destination.Misconfigured, "set bucket to one that exists", nothing},
	"AccessDenied":      {destination.Misconfigured, badKey, nothing},
	"InvalidJWT":        {destination.Misconfigured, badKey, nothing},
	"TenantNotFound":    {destination.Misconfigured, badURL, nothing},
	"InvalidMimeType":   {destination.Misconfigured, "let the bucket {bucket} take application/json, or all types", nothing},
	"EntityTooLarge":    {destination.Rejected, "the bucket's or the project's limit of file sizes is smaller: see Storage > Settings", nothing},
	"InvalidKey":        {class: destination.Rejected},
	"KeyAlreadyExists":  {}, "ResourceAlreadyExists": {}, "ResourceLocked": {}, "LockTimeout": {}, "DatabaseTimeout": {}, "SlowDown": {}, "InternalError": {}, "DatabaseError": {}, "S3Error": {},
}

// byStatus is what a status means without a code that is known. The gateway in
// front of all services answers for itself, too.
func byStatus(status int) meaning {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return meaning{destination.Misconfigured, badKey, nothing}
	case status == http.StatusPaymentRequired:
		return meaning{destination.Misconfigured, "the platform restricts the project: see the organisation's usage and billing", nothing}
	case status == 540:
		return meaning{destination.Misconfigured, "the project is paused: restore it", nothing}
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status <= 399:
		return meaning{destination.Misconfigured, badURL, nothing}
	case status == http.StatusRequestEntityTooLarge:
		return meaning{class: destination.Rejected}
	}
	return meaning{}
}

// refusal is what the services say in the body of an error, each in its own way.
type refusal struct{ code, text, status string }

func refusalOf(body []byte) (r refusal) {
	var said map[string]any
	if parsing.JSON(body, &said) != nil {
		return r // HTML of the gateway
	}
	text := func(name string) string {
		if v, ok := said[name].(string); ok {
			return v
		}
		return ""
	}
	r = refusal{code: text("code"), text: text("message"), status: text("statusCode")}
	if r.text == "" {
		r.text = text("error")
	}
	return r
}

// restFault makes of an answer of PostgREST about t what the engine knows, or
// an *incomplete.
func (s *supabase) restFault(what string, a answer, t table) error {
	r := refusalOf(a.body)
	m, known := bySQLState[r.code]
	if !known && len(r.code) == 5 {
		m, known = bySQLState[r.code[:2]]
	}
	switch {
	case r.code == "0A000" && strings.HasPrefix(r.text, "cached plan"):
		m = meaning{} // PostgREST's own, of before the tables were completed
	case !known && r.code == "" && a.status == http.StatusNotFound:
		m = byStatus(a.status)
	case !known:
		if m = byStatus(a.status); a.status == http.StatusNotFound {
			m = meaning{} // of PostgREST itself
		}
	}
	return s.word(what, a.status, a, r, m, t)
}

// storageFault does so for storage, which answers 400 for nearly everything and
// says the true status in the body.
func (s *supabase) storageFault(what string, a answer) error {
	r := refusalOf(a.body)
	status := a.status
	if inner, err := strconv.Atoi(r.status); err == nil && status == http.StatusBadRequest && inner >= 400 && inner <= 599 {
		status = inner
	}
	m, known := byStorage[r.code]
	if !known {
		switch m = byStatus(status); {
		case status == http.StatusNotFound && strings.Contains(strings.ToLower(r.text), "bucket"):
			m = byStorage["NoSuchBucket"]
		case status == http.StatusUnsupportedMediaType:
			m = byStorage["InvalidMimeType"]
		case status == http.StatusBadRequest && strings.HasPrefix(r.text, "Invalid key"):
			m = byStorage["InvalidKey"]
		}
	}
	return s.word(what, status, a, r, m, table{})
}

// word is the error of a refusal.
func (s *supabase) word(what string, status int, a answer, r refusal, m meaning, t table) error {
	text := fmt.Sprintf("%s: answered %d", what, status)
	if r.code != "" {
		text += " " + sqltables.Quote(s.service.scrub, r.code)
	}
	if r.text != "" {
		text += ": " + sqltables.Quote(s.service.scrub, r.text)
	}
	if m.advice != "" {
		text += " (" + strings.NewReplacer("{bucket}", s.bucket, "{schema}", s.tables.schema).Replace(m.advice) + ")"
	}
	switch {
	case m.does == rights:
		return held(text, "GRANT USAGE ON SCHEMA "+s.tables.schema+" TO service_role; "+t.grant()+". If it has these rights: "+badKey)
	case m.does != nothing:
		return &incomplete{text, t.mend(m.does)}
	case m.class == destination.Transient && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable):
		if wait, asked := retryafter.Parse(a.header.Get("Retry-After"), time.Now()); asked {
			return destination.Throttle(&fault.Safe{Text: text}, wait)
		}
	}
	return &destination.Fault{Class: m.class, Err: &fault.Safe{Text: text}}
}

// mend is the SQL for a part of the table that is missing, on one line: the
// reason of a held destination is shown so.
func (t table) mend(p part) string {
	all := []string{t.index()}
	switch p {
	case columns:
		all = []string{t.add()}
	case everything:
		all = t.create()
	}
	return strings.Join(append(all, reload), "; ")
}

// held holds the destination until somebody has run sql.
func held(text, sql string) error {
	return destination.Misconfigure(&fault.Safe{Text: text + ". Run in the project's SQL editor: " + sql})
}
