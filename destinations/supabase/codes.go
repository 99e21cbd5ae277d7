package supabase

import (
	"net/http"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// The tables of this file say whose fault an answer is. What every event would hit
// is Misconfigured and holds the destination, with what to do; what only this
// event hits is Rejected; the rest, the zero meaning, waits for its next attempt.

const (
	misconfigured = destination.Misconfigured
	rejected      = destination.Rejected
)

// byStatus is what a status means, whatever the code: the status says who refused.
// The gateway in front of all services answers for itself, too.
func byStatus(status int) (m meaning, sure bool) {
	switch {
	case status == http.StatusUnauthorized:
		return meaning{class: misconfigured, advice: badKey}, true
	case status == http.StatusPaymentRequired:
		return meaning{class: misconfigured, advice: "the platform restricts the project: see the organisation's usage and billing"}, true
	case status == 540:
		return meaning{class: misconfigured, advice: "the project is paused: restore it"}, true
	case status >= 300 && status <= 399:
		return meaning{class: misconfigured, advice: badURL}, true
	case status == http.StatusForbidden:
		return meaning{class: misconfigured, advice: badKey}, false
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return meaning{class: misconfigured, advice: badURL}, false
	case status == http.StatusRequestEntityTooLarge, status == http.StatusRequestURITooLong, status == http.StatusRequestHeaderFieldsTooLarge:
		return meaning{class: rejected}, false
	}
	return meaning{}, false
}

// bySQLState is what PostgREST's own codes and PostgreSQL's mean, by the whole
// code, else by its class: two characters of a SQLSTATE, six of PostgREST's. What
// has no row waits.
var bySQLState = map[string]meaning{
	"PGRST0": {}, // no connection, no schema cache yet, no connection in time
	"PGRST1": {}, // a request that this version of PostgREST does not understand
	"PGRST2": {}, // not in the schema cache
	"PGRST3": {class: misconfigured, advice: badKey},
	"PGRSTX": {},

	"PGRST106": {class: misconfigured, advice: "add {schema} to the exposed schemas in Project Settings > Data API (PGRST_DB_SCHEMAS on self-hosted projects), or set schema"},
	"PGRST117": {class: misconfigured, advice: badURL},
	"PGRST125": {class: misconfigured, advice: badURL + ", without /rest/v1"},
	"PGRST204": {does: columns},
	"PGRST205": {does: everything},
	"PGRST300": {class: misconfigured, advice: "the project's PostgREST has no JWT secret: set PGRST_JWT_SECRET"},

	"0A": {class: misconfigured, advice: "the tables must be ordinary tables, without rules"},
	"0L": {class: misconfigured}, "0P": {class: misconfigured},
	"22": {does: values},
	"23": {class: rejected, advice: "a constraint of yours refuses this event"},
	"28": {class: misconfigured, advice: badKey},
	"3F": {class: misconfigured, advice: "the schema {schema} does not exist"},
	"42": {class: misconfigured, advice: "the tables, or a policy, a trigger or a function of yours that they use, are not as they have to be"},
	"44": {class: rejected},
	"54": {class: rejected}, // too large for the server, such as for an index
	"08": {}, "09": {}, "21": {}, "24": {}, "25": {}, "2D": {}, "38": {}, "39": {}, "3B": {}, "40": {}, "53": {}, "55": {}, "57": {}, "58": {}, "F0": {}, "HV": {}, "P0": {}, "XX": {},

	"22021": {class: rejected}, "22P05": {class: rejected}, // characters that the database's encoding lacks
	"2200H": {class: misconfigured, advice: "a sequence of a column of yours is at its end: ALTER SEQUENCE ... AS bigint MAXVALUE ..., and its column bigint"},
	"23502": {does: values},
	"23503": {advice: "what it refers to may still come; if it never does, drop the constraint"},
	"25006": {advice: "the database takes no writes: a full disk is one reason, see Database > Settings"},
	"428C9": {class: misconfigured, advice: "a column is generated: make it an ordinary one, ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION"},
	"42501": {class: misconfigured, does: rights},
	"42703": {does: columns},
	"42804": {does: values},
	"42883": {does: values}, // no = for the column's type, among others
	"42P01": {does: everything},
	"42P10": {does: unique},
	"42P17": {class: misconfigured, advice: "a policy of yours refers to its own table: see the policies of the table"},
	"55000": {class: misconfigured, advice: "the table's key must be its primary key and not DEFERRABLE, without which a table of a PUBLICATION takes no changes"},
}

// ofSQLState looks code up.
func ofSQLState(code string) (m meaning, known bool) {
	if m, known = bySQLState[code]; known {
		return m, true
	}
	class := 2
	if strings.HasPrefix(code, "PGRST") {
		class = 6
	} else if len(code) != 5 {
		return m, false
	}
	m, known = bySQLState[code[:min(class, len(code))]]
	return m, known
}

const (
	createBucket = "create the private bucket {bucket} under Storage, or run: INSERT INTO storage.buckets (id, name, public) VALUES ('{bucket}', '{bucket}', false)"
	hiddenBucket = "the role {role} does not pass row level security of storage.objects: run ALTER ROLE {role} BYPASSRLS, or the policies in the documentation of this kind"
	noStorage    = "run: GRANT USAGE ON SCHEMA storage TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON storage.objects TO {role}; GRANT SELECT ON storage.buckets TO {role}"
	anyType      = "let the bucket take all types: UPDATE storage.buckets SET allowed_mime_types = NULL WHERE id = '{bucket}', or add application/json"
)

// byStorage is what storage's codes mean. What has no row means what its status
// does.
var byStorage = map[string]meaning{
	"NoSuchBucket":                    {class: misconfigured, advice: createBucket},
	"InvalidBucketName":               {class: misconfigured, advice: "set bucket to one that exists"},
	"AccessDenied":                    {class: misconfigured, advice: badKey}, // but see ofStorage
	"InvalidJWT":                      {class: misconfigured, advice: badKey},
	"ExpiredToken":                    {class: misconfigured, advice: badKey},
	"InvalidSignature":                {class: misconfigured, advice: badKey},
	"SignatureDoesNotMatch":           {class: misconfigured, advice: badKey},
	"TenantNotFound":                  {class: misconfigured, advice: badURL},
	"InvalidMimeType":                 {class: misconfigured, advice: anyType},
	"FeatureNotEnabled":               {class: misconfigured},
	"NotSupported":                    {class: misconfigured},
	"EntityTooLarge":                  {class: rejected, advice: "the bucket's or the project's limit of file sizes is smaller: see Storage > Settings"},
	"InvalidKey":                      {class: rejected},
	"DatabaseReadOnly":                {advice: "the database takes no writes: a full disk is one reason, see Database > Settings"},
	"DatabaseSchemaMismatch":          {class: misconfigured, advice: "a trigger or a policy on storage.objects or storage.buckets uses a table or column that is not there, or storage's migrations have not run"},
	"DatabaseInvalidObjectDefinition": {class: misconfigured, advice: "a policy on storage.objects or storage.buckets refers to its own table"},
	"DatabaseError":                   {}, // but see ofStorage
	"InternalError":                   {}, "KeyAlreadyExists": {}, "LockTimeout": {}, "ResourceAlreadyExists": {}, "ResourceLocked": {}, "S3Error": {}, "SlowDown": {},
	"DatabaseTimeout": {}, "DatabaseTransactionAborted": {}, "TransactionError": {}, "UnknownError": {}, "Aborted": {}, "AbortedTerminate": {},
}

// ofStorage is what storage says, by code and text, else by its true status.
func ofStorage(r refusal, status int) meaning {
	m, known := byStorage[r.code]
	text := strings.ToLower(r.text)
	state, ofDatabase := strings.CutPrefix(r.text, "database error, code: ")
	switch {
	case strings.Contains(text, "row-level security"):
		m.class, m.advice = misconfigured, hiddenBucket
	case strings.HasPrefix(text, "permission denied for"):
		m.class, m.advice = misconfigured, noStorage
	case ofDatabase && state == "22023":
		m = meaning{class: misconfigured, advice: "the role {role} of the key does not exist: " + badKey}
	case ofDatabase:
		m, _ = ofSQLState(state)
		m = meaning{class: m.class}
	case known:
	case status == http.StatusNotFound && strings.Contains(text, "bucket"), status == http.StatusNotFound && text == "the related resource does not exist":
		m = byStorage["NoSuchBucket"]
	case status == http.StatusUnsupportedMediaType:
		m = byStorage["InvalidMimeType"]
	case status == http.StatusBadRequest && strings.HasPrefix(text, "invalid key"):
		m = byStorage["InvalidKey"]
	default:
		m, _ = byStatus(status)
	}
	return m
}
