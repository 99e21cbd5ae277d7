package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// PutDocument stores the next version of a developer's settings: see store.Documents.
func (s *Store) PutDocument(ctx context.Context, was uint64, d store.Document) (uint64, error) {
	if d.Developer == "" || strings.Contains(d.Developer, "\x00") {
		return 0, errors.New("put document: no name of a developer")
	}
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	name, version := []byte(d.Developer), int64(was)+1
	err := s.durably(ctx, time.Now(), func(c *changes) error {
		var newest uint64
		if err := c.one(sqlNewestDocument, []any{name}, hash{&newest}); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if newest != was {
			return store.ErrConflict
		}
		_, err := c.exec(sqlPutDocument, name, version, d.At.UnixNano(), []byte(d.By), d.Deleted, bytesOf(d.Text))
		if err == nil {
			_, err = c.exec(sqlAgeDocument, name, version-store.DocumentVersions)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("put document: %w", err)
	}
	return uint64(version), nil
}

// ResealDocument replaces the text of a version.
func (s *Store) ResealDocument(ctx context.Context, developer string, version uint64, text []byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err := s.durably(ctx, time.Now(), func(c *changes) error {
		tag, err := c.exec(sqlReseal, []byte(developer), int64(version), bytesOf(text))
		if err == nil && tag.RowsAffected() == 0 {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reseal document: %w", err)
	}
	return nil
}

// ForgetVersions removes all versions of a developer but the newest.
func (s *Store) ForgetVersions(ctx context.Context, developer string) error {
	return s.put(ctx, "document", sqlForgetVersions, []byte(developer))
}

// Document returns a version, 0 is the newest.
func (s *Store) Document(ctx context.Context, developer string, version uint64) (d store.Document, err error) {
	err = s.read(ctx, func(q query) error {
		found := false
		err := q.each(sqlDocument, []any{[]byte(developer), int64(version)}, func(scan func(...any) error) (err error) {
			found = true
			d, err = scanDocument(scan)
			return err
		})
		if err == nil && !found {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return store.Document{}, fmt.Errorf("read document: %w", err)
	}
	return d, nil
}

func scanDocument(scan func(...any) error) (d store.Document, err error) {
	var at int64
	err = scan(text{&d.Developer}, hash{&d.Version}, &at, text{&d.By}, &d.Deleted, &d.Text)
	d.At = time.Unix(0, at).UTC()
	return d, err
}

// DocumentVersions lists what is kept of a developer, newest first, without texts.
func (s *Store) DocumentVersions(ctx context.Context, developer string) (all []store.Document, err error) {
	err = s.read(ctx, func(q query) error {
		all = nil
		return q.each(sqlDocumentVersions, []any{[]byte(developer)}, func(scan func(...any) error) error {
			d, err := scanDocument(scan)
			d.Text = nil
			all = append(all, d)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list versions of a document: %w", err)
	}
	return all, nil
}

// EachDocument calls f with documents, in the order of names: see store.Documents.
func (s *Store) EachDocument(ctx context.Context, old bool, f func(store.Document) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	sql := sqlNewestDocuments
	if old {
		sql = sqlEveryDocument
	}
	var own error // of f, and not of the database
	err := s.readingOnce(ctx, func(ask query) error {
		return ask.each(sql, nil, func(scan func(...any) error) error {
			d, err := scanDocument(scan)
			if err == nil {
				own = f(d)
				err = own
			}
			return err
		})
	})
	return cmp.Or(own, err)
}
