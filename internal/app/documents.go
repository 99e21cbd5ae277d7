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
)

var _ api.Documents = (*App)(nil)

const (
	sealDocument = "document" // binds what is sealed to its use
	sealedUnder  = "documents/sealed-under"
	importer     = "import" // who makes documents of files
)

// load reads the settings, with the documents in the store if that is where they
// are.
func (a *App) load(ctx context.Context) (*config.Snapshot, error) {
	a.loader.Documents = a.documents
	snap, err := a.loader.Load(ctx)
	if snap == nil || !snap.Daemon.Developers.Stored {
		return snap, err
	}
	if a.sealAnew(ctx, snap.Keys); snap.Daemon.Developers.Import == "" {
		return snap, err
	}
	made, faults := a.importFolder(ctx, snap)
	if made > 0 {
		if snap, err = a.loader.Load(ctx); snap == nil {
			return nil, err
		}
	}
	for _, f := range faults {
		snap.Notes = append(snap.Notes, config.Fault{File: snap.Daemon.Developers.Import, Message: f.Error()})
	}
	return snap, err
}

// documents returns the newest document of every developer.
func (a *App) documents(ctx context.Context, keys *keyring.Ring) (texts []config.Text, err error) {
	if a.store == nil {
		return nil, nil // before it is open
	}
	heads := map[string]api.DocumentHead{}
	err = a.store.EachDocument(ctx, false, func(d store.Document) error {
		heads[d.Developer] = headOf(d)
		if !d.Deleted {
			texts = append(texts, a.textOf(keys, d))
		}
		return nil
	})
	if err == nil {
		a.heads.Store(&heads)
	}
	return texts, err
}

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
	for _, d := range all {
		if err != nil {
			break
		}
		clear, open := keys.Open(sealDocument, d.Text)
		if open != nil {
			a.log.Error("a version of a document cannot be opened", "developer", d.Developer, "version", d.Version, "error", open)
			continue
		}
		if err = a.store.ResealDocument(ctx, d.Developer, d.Version, keys.Seal(sealDocument, clear)); errors.Is(err, store.ErrNotFound) {
			err = nil // aged meanwhile
		}
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

// importFolder makes documents of the files of a folder whose developers never had
// one, references resolved. What is faulty is left for the next time.
func (a *App) importFolder(ctx context.Context, snap *config.Snapshot) (made int, faults []error) {
	texts, err := config.ReadFolder(snap.Daemon.Developers.Import)
	if err != nil {
		return 0, []error{err}
	}
	heads := *a.heads.Load()
	for i := range texts {
		t := &texts[i]
		if _, had := heads[t.ID]; had {
			continue
		}
		doc := document.Read(t.File, t.Raw, false)
		if doc.Root != nil {
			document.Resolve(doc, a.kinds, config.Lookup(snap.Daemon.Dir, texts, t.ID))
		}
		if t.Err != nil || doc.Root == nil || !doc.Sound() {
			faults = append(faults, cmp.Or(t.Err, error(config.Faults(doc.Faults()))))
			continue
		}
		t.Raw, err = document.YAML(doc.Root)
		if err == nil {
			if bound := snap.Rules.Bind(ctx, t, snap.Secrets); bound.Developer == nil {
				err = config.Faults(bound.Faults)
			}
		}
		if err == nil {
			_, err = a.store.PutDocument(ctx, 0, store.Document{Developer: t.ID, At: now(), By: importer, Text: snap.Keys.Seal(sealDocument, t.Raw)})
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		made++
		a.log.Info("a developer's file is a document in the store now", "developer", t.ID, "file", t.File)
	}
	return made, faults
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

// stored returns a version of a document in clear.
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
		return d, nil, fmt.Errorf("open the document of %s, version %d: %w", developer, d.Version, t.Err)
	}
	doc := document.Read(t.File, t.Raw, false)
	if doc.Root == nil {
		return d, nil, fmt.Errorf("read the document of %s, version %d: it is no YAML", developer, d.Version)
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
