package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// What follows kindDocument in a key. The newest version of a document stands
// apart from those before it, so that a start reads no more than it needs.
const (
	docNewest = 'c' // developer
	docBefore = 'h' // developer, zero byte, version
)

func documentKey(developer string) []byte {
	return append([]byte{kindDocument, docNewest}, developer...)
}

func versionKey(developer string, version uint64) []byte {
	k := append([]byte{kindDocument, docBefore}, developer...)
	return be.AppendUint64(append(k, 0), version)
}

func versionsOf(developer string) (from, to []byte) {
	from = versionKey(developer, 0)
	return from, after(bytes.Clone(from[:len(from)-8]))
}

func appendDocument(b []byte, d *store.Document) []byte {
	var flags byte
	if d.Deleted {
		flags |= 1
	}
	b = append(b, rowVersion, flags)
	b = be.AppendUint64(b, d.Version)
	b = be.AppendUint64(b, uint64(d.At.UnixNano()))
	b = appendText(appendText(b, d.Developer), d.By)
	return append(b, d.Text...)
}

func readDocument(v []byte) (store.Document, error) {
	d := decoder{b: v}
	d.version()
	doc := store.Document{Deleted: d.byte()&1 != 0}
	doc.Version, doc.At = uint64(d.int64()), time.Unix(0, d.int64()).UTC()
	doc.Developer, doc.By = d.text(), d.text()
	doc.Text = append([]byte{}, d.take(len(d.b))...)
	if doc.Version == 0 {
		return store.Document{}, fmt.Errorf("document: %w", errRow)
	}
	return doc, d.end()
}

// newestDocument is zero where there never was one.
func (s *Store) newestDocument(developer string) (store.Document, error) {
	v, err := s.get(documentKey(developer))
	if err != nil || v == nil {
		return store.Document{}, err
	}
	return readDocument(v)
}

var errDeveloper = errors.New("a developer's name is empty or has a zero byte in it")

// PutDocument stores the next version of a document: see store.Documents.
func (s *Store) PutDocument(_ context.Context, was uint64, d store.Document) (uint64, error) {
	if d.Developer == "" || strings.Contains(d.Developer, "\x00") {
		return 0, errDeveloper
	}
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	old, err := s.newestDocument(d.Developer)
	if err != nil {
		return 0, fmt.Errorf("store a document: %w", err)
	}
	if old.Version != was {
		return 0, store.ErrConflict
	}
	d.Version = was + 1
	err = s.write(func(w *writer) {
		w.k, w.v = documentKey(d.Developer), appendDocument(w.v[:0], &d)
		w.set()
		if was > 0 {
			w.k, w.v = versionKey(d.Developer, was), appendDocument(w.v[:0], &old)
			w.set()
		}
		if d.Version > store.DocumentVersions {
			from, _ := versionsOf(d.Developer)
			w.note(w.b.DeleteRange(from, versionKey(d.Developer, d.Version-store.DocumentVersions+1), nil))
		}
	})
	if err != nil {
		return 0, fmt.Errorf("store a document: %w", err)
	}
	return d.Version, nil
}

// ResealDocument replaces the text of a version: see store.Documents.
func (s *Store) ResealDocument(_ context.Context, developer string, version uint64, text []byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	key, d, err := s.documentAt(developer, version)
	if err != nil {
		return err
	}
	d.Text = text
	return s.write(func(w *writer) {
		w.k, w.v = key, appendDocument(w.v[:0], &d)
		w.set()
	})
}

// documentAt finds a version, and the key that it lies under.
func (s *Store) documentAt(developer string, version uint64) ([]byte, store.Document, error) {
	key := documentKey(developer)
	d, err := s.newestDocument(developer)
	if err == nil && version != 0 && d.Version != version {
		key = versionKey(developer, version)
		var v []byte
		if v, err = s.get(key); err == nil && v == nil {
			err = store.ErrNotFound
		}
		if err == nil {
			d, err = readDocument(v)
		}
	}
	if err == nil && d.Version == 0 {
		err = store.ErrNotFound
	}
	return key, d, err
}

// Document returns a version of a document: see store.Documents.
func (s *Store) Document(_ context.Context, developer string, version uint64) (store.Document, error) {
	if err := s.enter(); err != nil {
		return store.Document{}, err
	}
	defer s.leave()
	s.registry.mu.Lock() // a version moves when the next one comes
	defer s.registry.mu.Unlock()
	_, d, err := s.documentAt(developer, version)
	if err != nil {
		return store.Document{}, err
	}
	return d, nil
}

// DocumentVersions lists what is kept of a document: see store.Documents.
func (s *Store) DocumentVersions(_ context.Context, developer string) ([]store.Document, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	newest, err := s.newestDocument(developer)
	if err != nil || newest.Version == 0 {
		return nil, err
	}
	newest.Text = nil
	var all []store.Document
	from, to := versionsOf(developer)
	err = scan(s.db, from, to, func(_, v []byte) (bool, error) {
		d, err := readDocument(v)
		d.Text = nil
		all = append([]store.Document{d}, all...)
		return true, err
	})
	return append([]store.Document{newest}, all...), err
}

// EachDocument reads the documents of all developers: see store.Documents.
func (s *Store) EachDocument(ctx context.Context, old bool, f func(store.Document) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	last := byte(docNewest)
	if old {
		last = docBefore
	}
	return scan(s.db, []byte{kindDocument, docNewest}, []byte{kindDocument, last + 1}, func(_, v []byte) (bool, error) {
		d, err := readDocument(v)
		if err == nil {
			err = f(d)
		}
		if err == nil {
			err = s.interrupted(ctx)
		}
		return true, err
	})
}

// ForgetVersions removes what a document was before: see store.Documents.
func (s *Store) ForgetVersions(_ context.Context, developer string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	return s.write(func(w *writer) {
		from, to := versionsOf(developer)
		w.note(w.b.DeleteRange(from, to, nil))
	})
}
