package supabase

import (
	"context"
	"errors"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Check looks at key, tables, columns, rights and the bucket, and logs in by
// complete.dsn. Of the rows that it has the database try none stay, and the object
// that it writes it removes.
func (s *supabase) Check(ctx context.Context) error {
	var remarks []string
	unable := s.completer.tried(ctx)
	for _, t := range s.tables.all() {
		err := s.checkTable(ctx, t)
		missing, ok := errors.AsType[*incomplete](err)
		if !ok && err != nil {
			return err
		}
		if !ok {
			continue
		}
		found, err := s.look(ctx, false, t, "")
		switch {
		case err != nil:
			return err
		case s.completer.run == nil || found != nil && !found.addsUp:
			return missing.hold(s.role, found)
		case unable != nil:
			return missing.after(s.role, found, unable)
		}
		remarks = append(remarks, missing.text+". The first delivery completes the tables")
		break // it completes all three
	}
	if len(remarks) == 0 {
		if found, err := s.look(ctx, false, table{}, ""); err != nil {
			return err
		} else if found != nil && len(found.sql) > 0 {
			return found.hold(s.role, "check the tables")
		}
	}
	if unable != nil {
		remarks = append(remarks, unable.Error()+". Nothing is missing of them now")
	}
	more, err := s.checkBucket(ctx)
	if err != nil {
		return err
	}
	if remarks = append(remarks, more...); len(remarks) > 0 {
		return destination.Remark(strings.Join(remarks, "; "))
	}
	return nil
}
