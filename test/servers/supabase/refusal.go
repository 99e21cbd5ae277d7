package supabase

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// refusal is an error as PostgREST writes it.
type refusal struct {
	status  int
	why     string  // of WWW-Authenticate
	Code    string  `json:"code"`
	Details *string `json:"details"`
	Hint    *string `json:"hint"`
	Message string  `json:"message"`
}

func (r *refusal) Error() string { return r.Message }

func (r *refusal) hint(text string) { r.Hint = &text }

func (r *refusal) details(text string) { r.Details = &text }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func (r *refusal) write(w http.ResponseWriter) {
	w.Header().Set("Proxy-Status", "PostgREST; error="+r.Code)
	switch {
	case r.status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "0") // what is left until its own next try to connect
	case r.status == http.StatusUnauthorized && r.why != "":
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=\"invalid_token\", error_description=%q", r.why))
	case r.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	text, _ := json.Marshal(r) // always encodes
	write(w, r.status, string(text))
}

// authenticated returns the claims of a request; without a key they are those of anon.
func authenticated(header string) (Claims, error) {
	if header == "" {
		return Claims{"role": "anon"}, nil
	}
	token := bearer(header)
	claims, wrong := read(token, time.Now())
	fault := func(code, message string) error {
		f := refuse(http.StatusUnauthorized, code, "%s", message)
		f.why = message
		return f
	}
	switch {
	case token == "":
		return nil, fault("PGRST301", "Empty JWT is sent in Authorization header")
	case wrong == noJWT:
		return nil, fault("PGRST301", fmt.Sprintf("Expected 3 parts in JWT; got %d", len(strings.Split(token, "."))))
	case wrong == forged:
		return nil, fault("PGRST301", "No suitable key or wrong key type")
	case wrong == expired:
		return nil, fault("PGRST303", "JWT expired")
	case wrong == early:
		return nil, fault("PGRST303", "JWT not yet valid")
	}
	return claims, nil
}

// refusalOf is an error as PostgREST passes it on; authed tells whether the
// request had a key.
func refusalOf(err error, authed bool) *refusal {
	var own *refusal
	var e *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &connect), errors.As(err, &e) && e.Code == "53300":
		return refuse(http.StatusServiceUnavailable, "PGRST000", "Database connection error.")
	case !errors.As(err, &e):
		return refuse(http.StatusServiceUnavailable, "PGRST001", "Database client error. Retrying the connection.")
	}
	f := refuse(statusOf(e, authed), e.Code, "%s", e.Message)
	if e.Detail != "" {
		f.details(e.Detail)
	}
	if e.Hint != "" {
		f.hint(e.Hint)
	}
	return f
}

// statusOf is mapSQLtoHTTP of PostgREST.
func statusOf(e *pgconn.PgError, authed bool) int {
	switch e.Code {
	case "23503", "23505":
		return http.StatusConflict
	case "25006":
		return http.StatusMethodNotAllowed
	case "21000":
		if strings.HasSuffix(e.Message, "requires a WHERE clause") {
			return http.StatusBadRequest
		}
		return http.StatusInternalServerError
	case "22023":
		if strings.HasPrefix(e.Message, "role") && strings.HasSuffix(e.Message, "does not exist") {
			return http.StatusUnauthorized
		}
		return http.StatusBadRequest
	case "53400", "42P17":
		return http.StatusInternalServerError
	case "57P01":
		return http.StatusServiceUnavailable
	case "P0001":
		return http.StatusBadRequest
	case "42883", "42P01":
		return http.StatusNotFound
	case "42501":
		if authed {
			return http.StatusForbidden
		}
		return http.StatusUnauthorized
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "53":
		return http.StatusServiceUnavailable
	case "0L", "0P", "28":
		return http.StatusForbidden
	case "09", "25", "2D", "38", "39", "3B", "40", "54", "55", "57", "58", "F0", "HV", "P0", "XX":
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}
