package supabase

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5/pgconn"
)

// manage is the one call of the Management API that runs SQL, as documented: a message holds errors of
// the database.
func (p *Project) manage(w http.ResponseWriter, r *http.Request) {
	var q struct{ Query string }
	switch {
	case r.Header.Get("Authorization") != "Bearer "+p.AccessToken:
		write(w, http.StatusUnauthorized, `{"message":"Unauthorized"}`)
	case r.Method != http.MethodPost || r.URL.Path != "/v1/projects/"+p.Reference+"/database/query":
		write(w, http.StatusNotFound, `{"message":"Cannot `+r.Method+` it"}`)
	case json.NewDecoder(r.Body).Decode(&q) != nil || q.Query == "":
		write(w, http.StatusBadRequest, `{"message":"query: Required"}`)
	default:
		if _, err := p.DB.ExecContext(r.Context(), q.Query); err != nil {
			var e *pgconn.PgError
			message := err.Error()
			if errors.As(err, &e) {
				message = "Failed to run sql query: ERROR:  " + e.Code + ": " + e.Message
			}
			text, _ := json.Marshal(map[string]string{"message": message}) // always encodes
			write(w, http.StatusBadRequest, string(text))
			return
		}
		write(w, http.StatusCreated, "[]")
	}
}
