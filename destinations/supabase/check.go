package supabase

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// Check looks at key, tables, columns, rights and the bucket, and logs in by
// complete.dsn. It writes nothing: it adds no rows at all, and changes those of
// which the key is two things at once.
func (s *supabase) Check(ctx context.Context) error {
	var remarks []string
	unable := s.completer.tried(ctx)
	for _, t := range s.tables.all() {
		err := s.checkTable(ctx, t)
		missing, ok := errors.AsType[*incomplete](err)
		switch {
		case ok && s.completer.run == nil:
			return missing.hold()
		case ok && unable != nil:
			return missing.after(unable)
		case ok:
			remarks = append(remarks, missing.text+". The first delivery completes the tables")
		case err != nil:
			return err
		}
	}
	if unable != nil {
		remarks = append(remarks, unable.Error()+". Nothing is missing of them now")
	}
	public, err := s.checkBucket(ctx)
	if err != nil {
		return err
	}
	if public {
		remarks = append(remarks, "the bucket "+s.bucket+" is public: whoever knows or guesses the name of an object can read it. Make it private under Storage")
	}
	if len(remarks) > 0 {
		return destination.Remark(strings.Join(remarks, "; "))
	}
	return nil
}

func (s *supabase) checkTable(ctx context.Context, t table) error {
	names := t.names()
	if !s.natural && t.key() == "payload_id" {
		names = names[:len(names)-1] // updated_at is of natural identities
	}
	if _, _, err := s.rest(ctx, http.MethodGet, t, url.Values{"select": {strings.Join(names, ",")}, "limit": {"0"}}, "", nil); err != nil {
		return err
	}
	if _, _, err := s.rest(ctx, http.MethodPost, t, url.Values{"select": {t.key()}}, "return=representation", []row{}); err != nil {
		return err
	}
	none := "none"
	_, _, err := s.patch(ctx, t, none, []string{"(" + t.key() + ".is.null)"}, row{t.key(): &none})
	return err
}

// checkBucket also tells whether everybody may read the bucket.
func (s *supabase) checkBucket(ctx context.Context) (public bool, err error) {
	q := request{method: http.MethodGet, path: "/storage/v1/bucket/" + url.PathEscape(s.bucket), what: "look at the bucket " + s.bucket}
	a, err := s.service.call(ctx, q)
	if err != nil {
		return false, err
	}
	if a.status != http.StatusOK {
		return false, s.storageFault(q.what, a)
	}
	var b struct {
		Name   string
		Public bool
	}
	if parsing.JSON(a.body, &b) != nil || b.Name == "" {
		return false, &fault.Safe{Text: q.what + ": answered 200, but describes no bucket: " + a.receipt.Answer}
	}
	return b.Public, nil
}
