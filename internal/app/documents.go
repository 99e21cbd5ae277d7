package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
)

var _ api.Documents = (*App)(nil)

const (
	sealDocument = "document" // binds what is sealed to its use
	sealedUnder  = "documents/sealed-under"
	importer     = "import" // who makes documents of files
)

// load reads the settings, with the documents in the store if that is where they
// are. made are documents that come of the folder of imports: they are among the
// settings, and in the store once keepDocuments has put them there.
func (a *App) load(ctx context.Context) (snap *config.Snapshot, made []config.Text, err error) {
	a.loader.Documents = a.documents
	snap, err = a.loader.Load(ctx)
	if snap == nil || snap.Daemon.Developers.Import == "" {
		return snap, nil, err
	}
	made, faulty, unread := a.readImports(ctx, snap)
	if len(made)+len(faulty) > 0 {
		a.loader.Documents = func(ctx context.Context, keys *keyring.Ring) ([]config.Text, error) {
			texts, err := a.documents(ctx, keys)
			texts = slices.Concat(texts, made, faulty)
			slices.SortFunc(texts, func(x, y config.Text) int { return cmp.Compare(x.ID, y.ID) })
			return texts, err
		}
		if snap, err = a.loader.Load(ctx); snap == nil {
			return nil, nil, err
		}
	}
	if unread != nil {
		snap.Notes = append(snap.Notes, config.Fault{File: snap.Daemon.Developers.Import, Message: unread.Error()})
	}
	return snap, made, err
}

// keepDocuments stores what a reading that is taken over has of documents: those
// that came of files, and all under its first key. A dry run, and a reading that is
// refused, change nothing: their keys may never be those in force.
func (a *App) keepDocuments(ctx context.Context, snap *config.Snapshot, made []config.Text) error {
	if !snap.Daemon.Developers.Stored {
		return nil
	}
	a.sealAnew(ctx, snap.Keys)
	if len(made) == 0 {
		return nil
	}
	heads := maps.Clone(*a.heads.Load())
	defer a.heads.Store(&heads)
	for some := range slices.Chunk(made, mostChanged) {
		ids := make([]string, len(some))
		for i := range some {
			ids[i] = some[i].ID
		}
		if err := a.announce(ctx, ids...); err != nil {
			return fmt.Errorf("make documents of files: %w", err)
		}
	}
	for _, t := range made {
		d := store.Document{Developer: t.ID, At: now(), By: importer, Text: snap.Keys.Seal(sealDocument, t.Raw)}
		var err error
		if d.Version, err = a.store.PutDocument(ctx, 0, d); errors.Is(err, store.ErrConflict) && a.shared != nil {
			continue // another daemon was faster: its document is followed
		} else if err != nil {
			return fmt.Errorf("make a document of the file of developer %s: %w", t.ID, err)
		}
		heads[t.ID] = headOf(d)
		a.log.Info("a developer's file is a document in the store now", "developer", t.ID)
	}
	return nil
}

// documents returns the newest document of every developer.
func (a *App) documents(ctx context.Context, keys *keyring.Ring) (texts []config.Text, err error) {
	if a.store == nil {
		return nil, nil // before it is open
	}
	heads := map[string]api.DocumentHead{}
	strange := 0 // sealed under keys that are not here
	err = a.store.EachDocument(ctx, false, func(d store.Document) error {
		heads[d.Developer] = headOf(d)
		if !d.Deleted {
			t := a.textOf(keys, d)
			texts = append(texts, t)
			if errors.Is(t.Err, keyring.ErrUnknownKey) {
				strange++
			}
		}
		return nil
	})
	if err != nil {
		return texts, err
	}
	// Alone, a daemon without the key keeps events until somebody finds it. Beside others it would take events
	// that they could deliver, and keep them without a destination.
	if strange > 0 && strange == len(texts) && a.peers != nil && a.otherKeys(keys) {
		return nil, errOtherKeys
	}
	a.heads.Store(&heads)
	return texts, nil
}

var errOtherKeys = errors.New("other daemons of this store have other keys than this one, which can open none of the developers' documents: give it the same key files")

func headOf(d store.Document) api.DocumentHead {
	return api.DocumentHead{Developer: d.Developer, Version: d.Version, At: d.At, By: d.By, Deleted: d.Deleted}
}

// textOf opens a document; messages call it by its developer.
func (a *App) textOf(keys *keyring.Ring, d store.Document) config.Text {
	t := config.Text{ID: d.Developer, File: d.Developer}
	t.Raw, t.Err = keys.Open(sealDocument, d.Text)
	return t
}

// sealAnew seals every version under the first key, once for each first key: the
// key before it may be taken away then.
func (a *App) sealAnew(ctx context.Context, keys *keyring.Ring) {
	if a.peers != nil && a.otherKeys(keys) {
		return // whoever has the old key alone could open none of them; the next reading tries again
	}
	mark := keys.Seal(sealDocument, nil)[:keyring.HeaderSize]
	if old, err := a.store.Get(ctx, sealedUnder); err == nil && bytes.Equal(old, mark) {
		return
	}
	var all []store.Document
	err := a.store.EachDocument(ctx, true, func(d store.Document) error {
		if !d.Deleted && !bytes.HasPrefix(d.Text, mark) {
			all = append(all, d)
		}
		return nil
	})
	closed := false
	for _, d := range all {
		if err != nil {
			break
		}
		clear, open := keys.Open(sealDocument, d.Text)
		if open != nil {
			a.log.Error("a version of a document cannot be opened", "developer", d.Developer, "version", d.Version, "error", open)
			closed = true
			continue
		}
		if err = a.store.ResealDocument(ctx, d.Developer, d.Version, keys.Seal(sealDocument, clear)); errors.Is(err, store.ErrNotFound) {
			err = nil // aged meanwhile
		}
	}
	if err == nil && closed {
		return // it is sealed anew once its key is back: the next reading tries again
	}
	if err == nil {
		err = a.store.Put(ctx, sealedUnder, mark)
	}
	if err != nil {
		a.log.Error("documents were not sealed under the first key: keep the keys after it", "error", err)
	} else if len(all) > 0 {
		a.log.Info("documents are sealed under the first key", "versions", len(all))
	}
}

// readImports makes documents of the files of a folder whose developers never had
// one, references resolved. What is faulty is refused as it is in a folder: its
// developer goes on with the last good settings, and the next reading tries again.
func (a *App) readImports(ctx context.Context, snap *config.Snapshot) (made, faulty []config.Text, err error) {
	texts, err := config.ReadFolder(snap.Daemon.Developers.Import)
	if err != nil {
		return nil, nil, err
	}
	heads := *a.heads.Load()
	for i := range texts {
		t := &texts[i]
		if _, had := heads[t.ID]; had {
			continue
		}
		if t.Err != nil {
			faulty = append(faulty, *t)
			continue
		}
		raw, faults := a.importable(ctx, snap, texts, t)
		if len(faults) == 0 {
			made = append(made, config.Text{ID: t.ID, File: t.ID, Raw: raw})
			continue
		}
		doc := &strictyaml.Document{File: t.File}
		for _, f := range faults {
			doc.Fault(f.Line, "%s", f.Message)
		}
		faulty = append(faulty, config.Text{ID: t.ID, File: t.File, Document: doc})
	}
	return made, faulty, nil
}

// importable returns the text of the document that one of the files comes to.
func (a *App) importable(ctx context.Context, snap *config.Snapshot, texts []config.Text, t *config.Text) ([]byte, []config.Fault) {
	given := *t
	given.Document = document.Read(t.File, t.Raw, false)
	if given.Document.Root != nil {
		document.Resolve(given.Document, a.kinds, config.Lookup(snap.Daemon.Dir, texts, t.ID))
	}
	if bound := snap.Rules.Bind(ctx, &given, snap.Secrets); bound.Developer == nil {
		return nil, bound.Faults
	}
	raw, err := document.YAML(given.Document.Root)
	if err != nil {
		return nil, []config.Fault{{File: t.File, Message: err.Error()}}
	}
	return raw, nil
}

// DocumentHeads lists the developers who have a document.
func (a *App) DocumentHeads() []api.DocumentHead {
	cur := a.current.Load()
	all := map[string]api.DocumentHead{}
	if cur.snapshot.Daemon.Developers.Stored {
		for id, h := range *a.heads.Load() {
			if !h.Deleted {
				all[id] = h
			}
		}
	} else {
		for id := range cur.snapshot.Developers {
			all[id] = api.DocumentHead{Developer: id}
		}
	}
	for _, r := range cur.refused {
		if _, there := all[r.developer]; !there { // a file that could not be imported
			all[r.developer] = api.DocumentHead{Developer: r.developer}
		}
	}
	for id, h := range all {
		if dev := cur.snapshot.Developers[id]; dev != nil {
			h.Destinations = len(dev.Destinations)
		}
		for _, r := range cur.refused {
			if r.developer == id {
				for _, err := range r.errs {
					h.Faults = append(h.Faults, err.Error())
				}
			}
		}
		all[id] = h
	}
	heads := slices.Collect(maps.Values(all))
	slices.SortFunc(heads, func(x, y api.DocumentHead) int { return cmp.Compare(x.Developer, y.Developer) })
	return heads
}

// stored returns a version of a document in clear; what of it is known stands
// beside an *api.Unreadable, too.
func (a *App) stored(ctx context.Context, developer string, version uint64) (store.Document, *yaml.Node, error) {
	d, err := a.store.Document(ctx, developer, version)
	if err != nil {
		return d, nil, err
	}
	if d.Deleted {
		return d, nil, nil
	}
	t := a.textOf(a.current.Load().keys, d)
	if t.Err != nil {
		return d, nil, &api.Unreadable{Version: d.Version, Err: t.Err}
	}
	doc := document.Read(t.File, t.Raw, false)
	if doc.Root == nil {
		return d, nil, &api.Unreadable{Version: d.Version, Err: errors.New("it is no YAML")}
	}
	return d, doc.Root, nil
}

// ReadDocument returns a version of a document, redacted.
func (a *App) ReadDocument(ctx context.Context, developer string, version uint64) (api.DocumentHead, *yaml.Node, error) {
	source := a.current.Load().snapshot.Daemon.Developers
	if !source.Stored {
		root, err := a.file(source.Folder, developer, version)
		return api.DocumentHead{Developer: developer}, root, err
	}
	d, root, err := a.stored(ctx, developer, version)
	if err == nil && root == nil {
		err = store.ErrNotFound
	}
	if err != nil {
		return api.DocumentHead{}, nil, err
	}
	return headOf(d), document.Redact(root, a.kinds), nil
}

// file reads a developer's file, redacted.
func (a *App) file(folder, developer string, version uint64) (*yaml.Node, error) {
	if version != 0 {
		return nil, store.ErrNotFound
	}
	text, err := config.ReadDeveloper(folder, developer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	doc := document.Read(text.File, text.Raw, false)
	if doc.Root == nil {
		return nil, config.Faults(doc.Faults())
	}
	return document.Redact(doc.Root, a.kinds), nil
}

// DocumentVersions lists what is kept of a document.
func (a *App) DocumentVersions(ctx context.Context, developer string) (all []api.DocumentHead, err error) {
	if !a.current.Load().snapshot.Daemon.Developers.Stored {
		return nil, api.ErrFolder
	}
	versions, err := a.store.DocumentVersions(ctx, developer)
	if err == nil && len(versions) == 0 {
		err = store.ErrNotFound
	}
	for _, d := range versions {
		all = append(all, headOf(d))
	}
	return all, err
}
