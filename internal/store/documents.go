package store

import (
	"context"
	"time"
)

// DocumentVersions is how many versions of a document are kept, the newest included.
const DocumentVersions = 50

// Document is one version of a developer's settings.
type Document struct {
	Developer string
	Version   uint64 // from 1, in the order of changes; none is used twice, also after a deletion
	At        time.Time
	By        string // the name of the token that made it
	Deleted   bool   // the version that says there is none any more; it has no text
	Text      []byte // sealed by the caller
}

// Documents keeps the settings of developers, with what they were before.
// Everything that is changed is durable on return.
type Documents interface {
	// PutDocument stores d as the newest version, which was `was` until now (0:
	// there was none ever), and returns its number; d.Version is not looked at.
	// ErrConflict: somebody else was faster. Versions beyond DocumentVersions go.
	PutDocument(ctx context.Context, was uint64, d Document) (version uint64, err error)
	// ResealDocument replaces the text of a version by one that says the same.
	// ErrNotFound: the version is gone by now.
	ResealDocument(ctx context.Context, developer string, version uint64, text []byte) error
	// Document returns a version; 0 is the newest, which may be a deletion.
	Document(ctx context.Context, developer string, version uint64) (Document, error)
	// DocumentVersions lists what is kept of a developer, newest first, without texts.
	DocumentVersions(ctx context.Context, developer string) ([]Document, error)
	// EachDocument calls f with the newest version of each developer's document,
	// deletions included, in the order of their names; with every version that is kept
	// if old holds. f may keep the text, and may not call the store.
	EachDocument(ctx context.Context, old bool, f func(Document) error) error
	// ForgetVersions removes all versions of a developer but the newest.
	ForgetVersions(ctx context.Context, developer string) error
}
