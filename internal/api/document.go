package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Documents are the documents of developers, in the store or in a folder. Its
// errors: store.ErrNotFound, ErrFolder, ErrErasing, *Unreadable, *Stale, *config.Faults (what is wrong with
// the document, by its lines), *Refused, *Removal, *Choice.
type Documents interface {
	// DocumentHeads lists the developers who have a document, by their names.
	DocumentHeads() []DocumentHead
	// ReadDocument returns a version, redacted; 0 is the newest.
	ReadDocument(ctx context.Context, developer string, version uint64) (DocumentHead, *yaml.Node, error)
	// DocumentVersions lists what is kept of a document, newest first.
	DocumentVersions(ctx context.Context, developer string) ([]DocumentHead, error)
	// ChangeDocument makes the next version, and puts it in force.
	ChangeDocument(ctx context.Context, c DocumentChange) (DocumentChanged, error)
	// RemoveDeveloper removes a developer's document, and all that is theirs if they
	// are to be erased.
	RemoveDeveloper(ctx context.Context, r DeveloperRemoval) (DeveloperRemoved, error)
}

// DocumentHead is a document without its text.
type DocumentHead struct {
	Developer    string
	Version      uint64 // 0: it is in a folder
	At           time.Time
	By           string
	Deleted      bool
	Destinations int
	Faults       []string // why it is not in force, while it is not
}

// Edit is what a change does to a document.
type Edit interface {
	// Whole tells whether nothing of the newest version is needed for it.
	Whole() bool
}

// ReplaceDocument sets the whole of it.
type ReplaceDocument struct {
	Text []byte
	JSON bool
}

// PutDestination sets one destination.
type PutDestination struct {
	Name string
	Text []byte
	JSON bool
}

// RemoveDestination takes one away.
type RemoveDestination struct{ Name string }

// RotateSecret gives a destination a secret that is used from At on.
type RotateSecret struct {
	Name   string
	Secret secret.Value // zero: one is made
	At     time.Time
}

// RestoreDocument makes a version the newest again.
type RestoreDocument struct{ Version uint64 }

func (ReplaceDocument) Whole() bool   { return true }
func (PutDestination) Whole() bool    { return false }
func (RemoveDestination) Whole() bool { return false }
func (RotateSecret) Whole() bool      { return false }
func (RestoreDocument) Whole() bool   { return true }

// Match says which version a change is for.
type Match struct {
	Versions []uint64 // one of them; nil: any, or none
	Exists   bool     // there must be one
	New      bool     // there must be none
}

// DocumentChange is one change.
type DocumentChange struct {
	Developer            string
	By                   string // the name of the token
	Match                Match
	Edit                 Edit
	DryRun, AllowRemoval bool
}

// DocumentChanged is what came of it.
type DocumentChanged struct {
	Version  uint64 // that is the newest now
	Plan     []Step
	Notes    []string
	Secret   document.Secret // of a rotation
	RotateAt time.Time
}

// What becomes of what a developer has when they are removed.
const (
	KeepData  = "keep"
	EraseData = "erase"
)

// DeveloperRemoval asks for a developer to be removed.
type DeveloperRemoval struct {
	Developer string
	By        string
	Match     Match
	Data      string // KeepData or EraseData; "": nobody has chosen
	DryRun    bool

	Cancelled func([]store.Moved) // told what was pending of what is erased
}

// DeveloperRemoved says what was, or would be, removed.
type DeveloperRemoved struct {
	Plan      []Step
	Events    int // erased
	Cancelled int
	Payloads  int    // erased
	Left      string // what an erasure leaves, "" for nothing
}

// ErrFolder says that documents are files, which are changed as files are.
var ErrFolder = errors.New("the developers' documents are files in the folder that `developers` of fantail.yaml names: change them there, check them with `fantail validate` and take them over with `fantail reload`; " +
	"with `developers: { store: {} }` in fantail.yaml they can be changed here")

// ErrErasing says that what a developer has is being erased.
var ErrErasing = errors.New("everything of this developer is being erased: wait until that has ended")

// Unreadable says that a version cannot be opened, as when its key is gone.
type Unreadable struct {
	Version uint64
	Err     error
}

func (u *Unreadable) Error() string {
	return fmt.Sprintf("version %d of the document cannot be read: %v", u.Version, u.Err)
}

// Stale says that a change is for another version than the newest.
type Stale struct{ Version uint64 } // the newest; 0: there is none

func (s *Stale) Error() string {
	if s.Version == 0 {
		return "the document does not exist"
	}
	return fmt.Sprintf("the newest version of the document is %d: read it, and change that", s.Version)
}

// Choice says that a removal has to say what becomes of what the developer has.
type Choice struct {
	Plan []Step
}

func (c *Choice) Error() string {
	what := "they have nothing pending"
	if len(c.Plan) > 0 {
		what = c.Plan[0].String()
	}
	return "say what becomes of what the developer has: " + what + ". With data=keep events stay as long as retention says, and what is pending waits for a destination of the same name to come back; " +
		"with data=erase everything of theirs is erased, and what is pending is cancelled. Nothing was changed"
}
