package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
)

func now() time.Time { return time.Now().UTC() }

// matches is nil when a change is for the version that is the newest.
func matches(m api.Match, version uint64, there bool) error {
	if !there {
		if m.Exists || m.Versions != nil {
			return &api.Stale{}
		}
		return nil
	}
	if m.New || m.Versions != nil && !slices.Contains(m.Versions, version) {
		return &api.Stale{Version: version}
	}
	return nil
}

// newest returns the newest version of a document in clear, root nil if there is none.
func (a *App) newest(ctx context.Context, developer string) (store.Document, *yaml.Node, error) {
	d, root, err := a.stored(ctx, developer, 0)
	if errors.Is(err, store.ErrNotFound) {
		return store.Document{Developer: developer}, nil, nil
	}
	return d, root, err
}

// changeable is nil for a developer whose document may change now. It needs reloading.
func (a *App) changeable(developer string) error {
	switch {
	case !a.current.Load().snapshot.Daemon.Developers.Stored:
		return api.ErrFolder
	case a.erasing[developer]:
		return api.ErrErasing
	}
	return nil
}

// ChangeDocument makes the next version of a document and puts it in force. Nobody
// else's settings are looked at: what is wrong with them stays as it is.
func (a *App) ChangeDocument(ctx context.Context, c api.DocumentChange) (done api.DocumentChanged, err error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if err := a.changeable(c.Developer); err != nil {
		return done, err
	}
	cur := a.current.Load()
	old, root, err := a.newest(ctx, c.Developer)
	if _, closed := errors.AsType[*api.Unreadable](err); closed && c.Edit.Whole() {
		err = nil // nothing of it is needed
	}
	if err != nil {
		return done, err
	}
	if err := matches(c.Match, old.Version, old.Version > 0 && !old.Deleted); err != nil {
		return done, err
	}
	done.Version = old.Version
	doc, err := a.edited(ctx, &c, root, &done)
	if err != nil {
		return done, err
	}
	if other := a.namesake(cur.snapshot, c.Developer); other != "" && doc.Root != nil {
		doc.Fault(strictyaml.LineOf(doc.Root, "developer"), "developer: there is developer %s, and case does not tell names apart", other)
	}
	dev, text, err := bound(ctx, cur.snapshot, c.Developer, doc, &done)
	if err != nil {
		return done, err
	}
	next := with(cur.snapshot, dev, c.Developer)
	done.Plan = a.steps(only(cur.snapshot, c.Developer), only(next, c.Developer), func(string) bool { return false })
	before := 0
	if was := cur.snapshot.Developers[c.Developer]; was != nil {
		before = len(was.Destinations)
	}
	if err := judgeRemoval(done.Plan, 1, before, c.AllowRemoval); err != nil {
		return done, err
	}
	opened, refused, err := a.admit(ctx, next)
	if err == nil && len(refused) > 0 {
		err = refusedError(refused)
	}
	if err != nil || c.DryRun {
		opened.close()
		return done, err
	}
	if clear, _ := a.clearOf(cur, old); root == nil || !bytes.Equal(clear, text) {
		if err := a.announce(ctx, c.Developer); err != nil {
			opened.close()
			return done, err
		}
		version, err := a.store.PutDocument(ctx, old.Version, store.Document{
			Developer: c.Developer, At: now(), By: c.By, Text: cur.keys.Seal(sealDocument, text),
		})
		if err != nil {
			opened.close()
			return done, err
		}
		done.Version = version
	}
	return done, a.changed(ctx, cur, next, opened, c.Developer)
}

// changed puts next in force, in which one developer's settings differ from what
// runs, and which is in the store already.
func (a *App) changed(ctx context.Context, cur *state, next *config.Snapshot, opened opening, developer string) error {
	// What a client that hangs up leaves half done would be in force at the next start.
	ctx = context.WithoutCancel(ctx)
	d, err := a.store.Document(ctx, developer, 0)
	if err != nil {
		d = store.Document{}
	}
	refused := slices.DeleteFunc(slices.Clone(cur.refused), func(r refusal) bool { return r.developer == developer })
	return a.changedTo(ctx, next, opened, refused, d)
}

// changedTo puts next in force, which d has brought.
func (a *App) changedTo(ctx context.Context, next *config.Snapshot, opened opening, refused []refusal, d store.Document) error {
	if d.Version > 0 || d.Deleted {
		heads := maps.Clone(*a.heads.Load())
		if heads[d.Developer] = headOf(d); d.Version == 0 {
			delete(heads, d.Developer)
		}
		a.heads.Store(&heads)
	}
	if err := a.apply(ctx, next, opened, refused); err != nil {
		opened.close()
		return fmt.Errorf("the document is stored, and is not in force before the next reload: %w", err)
	}
	return nil
}

func (a *App) clearOf(cur *state, d store.Document) ([]byte, error) {
	if d.Version == 0 || d.Deleted {
		return nil, store.ErrNotFound
	}
	return cur.keys.Open(sealDocument, d.Text)
}

// with returns a snapshot in which one developer's settings are others; nil: they
// have none. Whoever else is broken goes on as they do.
func with(snap *config.Snapshot, dev *config.Developer, id string) *config.Snapshot {
	next := *snap
	next.Developers, next.Broken, next.Claimed = maps.Clone(snap.Developers), map[string][]config.Fault{}, map[string]string{}
	if dev == nil {
		delete(next.Developers, id)
	} else {
		next.Developers[id] = dev
	}
	return &next
}

func only(snap *config.Snapshot, id string) map[string]*config.Developer {
	if dev := snap.Developers[id]; dev != nil {
		return map[string]*config.Developer{id: dev}
	}
	return nil
}

// namesake returns another developer whose name differs in case alone.
func (a *App) namesake(snap *config.Snapshot, developer string) string {
	for id := range snap.Developers {
		if id != developer && strings.EqualFold(id, developer) {
			return id
		}
	}
	return ""
}

// bound binds a document, by the lines that it was given in, and returns the text
// to store: what is bound is bound of that, as it will be at every start.
func bound(ctx context.Context, snap *config.Snapshot, developer string, doc *strictyaml.Document, done *api.DocumentChanged) (*config.Developer, []byte, error) {
	given := snap.Rules.Bind(ctx, &config.Text{ID: developer, File: doc.File, Document: doc}, snap.Secrets)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if given.Developer == nil {
		return nil, nil, config.Faults(given.Faults)
	}
	text, err := document.YAML(doc.Root)
	if err != nil {
		return nil, nil, err
	}
	kept := snap.Rules.Bind(ctx, &config.Text{ID: developer, File: doc.File, Raw: text}, snap.Secrets)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if kept.Developer == nil {
		return nil, nil, config.Faults(kept.Faults)
	}
	for _, n := range given.Notes {
		done.Notes = append(done.Notes, n.Error())
	}
	return kept.Developer, text, nil
}

// edited returns the document that a change makes of root, nil if there is none.
func (a *App) edited(ctx context.Context, c *api.DocumentChange, root *yaml.Node, done *api.DocumentChanged) (*strictyaml.Document, error) {
	switch e := c.Edit.(type) {
	case api.ReplaceDocument:
		doc := document.Read(c.Developer, e.Text, e.JSON)
		document.Keep(doc, root, a.kinds)
		return doc, nil
	case api.RestoreDocument:
		_, then, err := a.stored(ctx, c.Developer, e.Version)
		if err == nil && then == nil {
			err = store.ErrNotFound
		}
		return &strictyaml.Document{File: c.Developer, Root: then}, err
	case api.PutDestination:
		return a.putDestination(c.Developer, e, root)
	case api.RemoveDestination:
		if !document.Remove(root, e.Name) {
			return nil, store.ErrNotFound
		}
	case api.RotateSecret:
		entry := document.Destination(root, e.Name)
		if entry == nil {
			return nil, store.ErrNotFound
		}
		var err error
		done.RotateAt = e.At.UTC().Truncate(time.Second)
		if done.Secret, err = document.Rotate(entry, a.kinds, e.Secret.Reveal(), now(), done.RotateAt); err != nil {
			return nil, err
		}
	}
	return &strictyaml.Document{File: c.Developer, Root: root}, nil
}

// putDestination sets one destination of a document. Lines are those of what was
// given, which alone can be wrong.
func (a *App) putDestination(developer string, e api.PutDestination, root *yaml.Node) (*strictyaml.Document, error) {
	doc := document.Read(developer+"/"+e.Name, e.Text, e.JSON)
	if doc.Root == nil {
		return nil, config.Faults(doc.Faults())
	}
	entry := doc.Root
	if name := document.Name(entry); name != "" && name != e.Name {
		doc.Fault(strictyaml.LineOf(entry, "name"), "name: this is destination %s: leave name out, or write it so", e.Name)
	} else if name == "" {
		document.SetName(entry, e.Name)
	}
	if root == nil {
		root = document.New(developer)
	}
	document.KeepEntry(doc, entry, document.Destination(root, e.Name), a.kinds)
	document.Put(root, e.Name, entry)
	doc.Root = root
	return doc, nil
}

// RemoveDeveloper removes a developer's document, and with it them: see api.Documents.
func (a *App) RemoveDeveloper(ctx context.Context, r api.DeveloperRemoval) (done api.DeveloperRemoved, err error) {
	erases, err := a.removeDeveloper(ctx, r, &done)
	if err != nil || !erases {
		return done, err
	}
	// It takes as long as they have events, and nobody else's change waits for it.
	defer func() {
		a.reloading.Lock()
		defer a.reloading.Unlock()
		delete(a.erasing, r.Developer)
	}()
	return done, a.eraseDeveloper(ctx, r, &done)
}

// removeDeveloper removes the document, and tells whether what they have is to be
// erased: until it is, they are in erasing, and none of their settings change.
func (a *App) removeDeveloper(ctx context.Context, r api.DeveloperRemoval, done *api.DeveloperRemoved) (erases bool, err error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if err := a.changeable(r.Developer); err != nil {
		return false, err
	}
	cur := a.current.Load()
	old, err := a.store.Document(ctx, r.Developer, 0)
	if err != nil {
		return false, err
	}
	// An erasure that was cut short is asked for again, when the document is gone.
	if old.Deleted && r.Data != api.EraseData {
		return false, store.ErrNotFound
	}
	if err := matches(r.Match, old.Version, !old.Deleted); err != nil {
		return false, err
	}
	done.Plan = []api.Step{a.removal(cur.snapshot, r.Developer)}
	switch {
	case r.DryRun:
		return false, nil
	case r.Data == "":
		return false, &api.Choice{Plan: done.Plan}
	}
	if !old.Deleted {
		if err := a.announce(ctx, r.Developer); err != nil {
			return false, err
		}
		if _, err := a.store.PutDocument(ctx, old.Version, store.Document{Developer: r.Developer, At: now(), By: r.By, Deleted: true}); err != nil {
			return false, err
		}
		if err := a.changed(ctx, cur, with(cur.snapshot, nil, r.Developer), opening{}, r.Developer); err != nil {
			return false, err
		}
		a.log.Info("settings: " + done.Plan[0].String())
	}
	if r.Data != api.EraseData {
		return false, nil
	}
	// Also what a process that ended in between left behind.
	a.forget(ctx, []string{r.Developer})
	if err := a.store.ForgetVersions(ctx, r.Developer); err != nil {
		return false, err
	}
	a.erasing[r.Developer] = true
	return true, nil
}

// removal is the step of a developer's removal: what is pending counts, too, of
// destinations that were removed before.
func (a *App) removal(snap *config.Snapshot, developer string) api.Step {
	s := api.Step{Do: api.StepRemove, Developer: developer}
	if dev := snap.Developers[developer]; dev != nil {
		s.Destinations = len(dev.Destinations)
	}
	registered, err := a.store.Destinations(context.Background())
	if err != nil {
		return s
	}
	for _, d := range registered {
		if d.Developer == developer {
			s.Pending += a.store.Counts(d.ID).Pending
		}
	}
	return s
}

// eraseDeveloper erases everything that is kept of a developer who is removed. It
// can be repeated, and goes on where it was cut short.
func (a *App) eraseDeveloper(ctx context.Context, r api.DeveloperRemoval, done *api.DeveloperRemoved) error {
	report, err := a.store.Erase(ctx, time.Now(), store.Erasure{Developer: r.Developer, Whole: true, By: r.By}, func(ms []store.Moved) {
		a.scheduler.Moved(ms)
		if r.Cancelled != nil {
			r.Cancelled(ms)
		}
	})
	a.scheduler.ForgetAnswers(r.Developer)
	done.Events, done.Cancelled = report.Events, report.Cancelled
	if err != nil {
		return err
	}
	switch {
	case a.files != nil:
		if done.Payloads, err = a.files.Erase(ctx, r.Developer); err != nil {
			return err
		}
	case a.payloads != nil:
		done.Left = "payloads in the operator's bucket: remove what lies below {day}/" + r.Developer + "/ there"
	}
	return nil
}
