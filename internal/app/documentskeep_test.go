package app

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// A dry run and a reading that is refused leave the store as it was: no file becomes
// a document, and nothing is sealed under a key that may never be in force.
func TestAReadingThatIsNotTakenOverStoresNothing(t *testing.T) {
	h := newHome(t)
	h.write("old.key", "an old key of 16 bytes or more")
	h.write("new.key", "a new key of 16 bytes or more!")
	h.settings("developers: { store: {} }\nkeys: ['${file:old.key}']\n")
	d := h.start()
	ctx := t.Context()
	put(t, d, "globex", doc("globex", "two", ""), client.ChangeOptions{})
	before, err := d.store.Document(ctx, "globex", 0)
	if err != nil {
		t.Fatal(err)
	}
	h.developer("acme", "one", "")
	h.settings("developers: { store: { import: developers } }\nkeys: ['${file:new.key}', '${file:old.key}']\n")
	same := func(what string) {
		t.Helper()
		if _, err := d.store.Document(ctx, "acme", 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s made a document of a file: %v", what, err)
		}
		if now, err := d.store.Document(ctx, "globex", 0); err != nil || string(now.Text) != string(before.Text) {
			t.Errorf("%s sealed a document anew: %v", what, err)
		}
	}
	done, err := d.App.ReloadWith(ctx, api.ReloadOptions{DryRun: true})
	if err != nil || len(done.Plan) != 1 || done.Plan[0].String() != "+ acme/app" {
		t.Errorf("a dry run: %+v, %v", done.Plan, err)
	}
	same("a dry run")
	h.settings("developers: { store: { import: developers } }\nkeys: ['${file:new.key}', '${file:old.key}']\ntls: { cert: missing.pem, key: missing.pem }\n")
	if _, err := d.App.ReloadWith(ctx, api.ReloadOptions{}); err == nil {
		t.Error("a certificate that is missing was taken")
	}
	same("a reading that was refused")
	h.settings("developers: { store: { import: developers } }\nkeys: ['${file:new.key}', '${file:old.key}']\n")
	if done, err = d.App.ReloadWith(ctx, api.ReloadOptions{}); err != nil || len(done.Plan) != 1 {
		t.Errorf("taken over: %+v, %v", done.Plan, err)
	}
	if _, err := d.Document(ctx, "acme"); err != nil || len(d.DocumentHeads()) != 2 {
		t.Errorf("the file is no document: %v", err)
	}
	if now, err := d.store.Document(ctx, "globex", 0); err != nil || string(now.Text) == string(before.Text) {
		t.Errorf("nothing was sealed anew: %v", err)
	}
	h.goesTo(d, "acme", "one")
}

// A document whose key is gone can be replaced, and is sealed anew when it comes back.
func TestADocumentWhoseKeyIsGone(t *testing.T) {
	h := newHome(t)
	h.write("old.key", "an old key of 16 bytes or more")
	h.write("new.key", "a new key of 16 bytes or more!")
	restart := func(d *daemon, keys string) *daemon {
		t.Helper()
		if d != nil {
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
		}
		h.settings("developers: { store: {} }\nkeys: [" + keys + "]\n")
		return h.start()
	}
	ctx := t.Context()
	const old, fresh = "'${file:old.key}'", "'${file:new.key}'"
	d := restart(nil, old)
	put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{})
	put(t, d, "globex", doc("globex", "two", ""), client.ChangeOptions{})
	put(t, d, "globex", doc("globex", "three", ""), client.ChangeOptions{})

	d = restart(d, fresh)
	if heads := d.DocumentHeads(); len(heads) != 2 || len(heads[0].Faults) == 0 {
		t.Errorf("nothing is said of it: %+v", heads)
	}
	_, err := d.Document(ctx, "acme")
	refusedAs(t, err, "unreadable")
	_, err = d.PutDestination(ctx, "acme", "more", []byte("kind: post\nsettings: { to: more }\n"), client.ChangeOptions{})
	refusedAs(t, err, "unreadable")
	_, err = d.RestoreDocument(ctx, "globex", 1, client.ChangeOptions{})
	refusedAs(t, err, "unreadable")
	_, err = d.PutDocument(ctx, "globex", doc("globex", "four", ""), client.ChangeOptions{New: true})
	refusedAs(t, err, "stale")
	if done := put(t, d, "globex", doc("globex", "four", ""), client.ChangeOptions{Version: 2}); done.Version != 3 {
		t.Errorf("replaced: %+v", done)
	}
	h.goesTo(d, "globex", "four")

	d = restart(d, fresh+", "+old)
	h.goesTo(d, "acme", "one")
	d = restart(d, fresh)
	h.goesTo(d, "acme", "one")
	if _, err := d.DocumentVersion(ctx, "globex", 1); err != nil {
		t.Errorf("a version before: %v", err)
	}
}

// looking calls a function whenever somebody asks whether it has ended.
type looking struct {
	context.Context
	look func()
}

func (l looking) Done() <-chan struct{} { l.look(); return l.Context.Done() }

// An erasure of one developer takes its time, in which all others' settings change.
func TestAnErasureHoldsUpNobody(t *testing.T) {
	h := storing(t, "")
	d := h.start()
	put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{})
	h.goesTo(d, "acme", "one")
	free, again := false, error(nil)
	ctx := looking{t.Context(), func() {
		if free || !d.reloading.TryLock() {
			return
		}
		free = d.erasing["acme"]
		d.reloading.Unlock()
		if free {
			_, again = d.PutDocument(t.Context(), "acme", doc("acme", "two", ""), client.ChangeOptions{})
			put(t, d, "globex", doc("globex", "two", ""), client.ChangeOptions{})
		}
	}}
	done, err := d.App.RemoveDeveloper(ctx, api.DeveloperRemoval{Developer: "acme", Data: api.EraseData})
	if err != nil || done.Events != 1 || !free {
		t.Fatalf("erased %+v, %v; others could change: %t", done, err, free)
	}
	refusedAs(t, again, "erasing")
	put(t, d, "acme", doc("acme", "three", ""), client.ChangeOptions{New: true})
}

// Who ran when their file could not become a document goes on with what was good.
func TestAFaultyFileOnTheWayToTheStoreTakesNothingAway(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "one", "")
	h.developer("globex", "two", "")
	d := h.start()
	h.write("developers/acme.yaml", "developer: acme\ndestinations: 5\n")
	h.settings("developers: { store: { import: developers } }\n")
	done, err := d.App.ReloadWith(t.Context(), api.ReloadOptions{})
	if _, refused := errors.AsType[*api.Refused](err); !refused || len(done.Plan) > 0 {
		t.Errorf("imported: %+v, %v", done.Plan, err)
	}
	if heads := d.DocumentHeads(); len(heads) != 2 || heads[0].Developer != "acme" || len(heads[0].Faults) == 0 {
		t.Errorf("what is listed: %+v", heads)
	}
	h.goesTo(d, "acme", "one")
	h.goesTo(d, "globex", "two")
}

// From the folder to the store and back no destination is another one: what is
// pending is frozen to nothing, and breakers stay as they are.
func TestFromTheFolderToTheStoreAndBackNothingChanges(t *testing.T) {
	h := newHome(t)
	h.write("secrets/acme/key", "hunter2${x}\n")
	h.write("developers/acme.yaml", "developer: acme\ndestinations:\n  - { name: app, kind: keyed, settings: { url: 'https://one.example', secret: '${file:secrets/acme/key}' } }\n")
	var seen sync.Map
	d := h.startWith(withKeyed(h, &seen))
	was := d.current.Load().snapshot.Find("acme", "app").Hash
	for _, source := range []string{"developers: { store: { import: developers } }\n", "developers: { store: {} }\n", "developers: developers\n"} {
		h.settings(source)
		done, err := d.App.ReloadWith(t.Context(), api.ReloadOptions{})
		if err != nil || len(done.Plan) > 0 || d.current.Load().snapshot.Find("acme", "app").Hash != was {
			t.Errorf("%s: %+v, %v", source, done.Plan, err)
		}
	}
}
