package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// storing is a home whose documents are in the store. Its kind has a secret.
func storing(t *testing.T, more string) *home {
	h := newHome(t)
	h.settings("developers: { store: {} }\n" + more)
	return h
}

func doc(developer, to, more string) []byte {
	return fmt.Appendf(nil, "# hunter2 in a comment\ndeveloper: %s\ndestinations:\n  - name: app\n    kind: post\n    settings: { to: %s%s }\n", developer, to, more)
}

func put(t *testing.T, d *daemon, developer string, text []byte, o client.ChangeOptions) client.DocumentChanged {
	t.Helper()
	done, err := d.PutDocument(t.Context(), developer, text, o)
	if err != nil {
		t.Fatalf("put %s: %v", developer, err)
	}
	return done
}

func plan(steps []client.Step) string {
	var lines []string
	for _, s := range steps {
		lines = append(lines, s.String())
	}
	return strings.Join(lines, ", ")
}

// refusedAs fails the test unless err is a refusal with that code, and returns it.
func refusedAs(t *testing.T, err error, code string) *client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return e
}

// A document is put, takes effect at once, is changed, restored, removed, and is
// all that after a restart.
func TestDocumentsLive(t *testing.T) {
	h := storing(t, "")
	d := h.start()
	ctx := t.Context()
	if got := plan(put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{New: true, DryRun: true}).Plan); got != "+ acme/app" || d.ingest.Knows("acme") {
		t.Errorf("a dry run: %s", got)
	}
	if done := put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{New: true}); done.Version != 1 || plan(done.Plan) != "+ acme/app" {
		t.Errorf("put: %+v", done)
	}
	h.goesTo(d, "acme", "one")
	if _, err := d.PutDocument(ctx, "acme", doc("acme", "two", ""), client.ChangeOptions{New: true}); err == nil {
		t.Error("a second document was taken for the first")
	}
	if done := put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{}); done.Version != 1 || len(done.Plan) > 0 {
		t.Errorf("the same again: %+v", done)
	}
	if done := put(t, d, "acme", doc("acme", "two", ""), client.ChangeOptions{Version: 1}); done.Version != 2 || plan(done.Plan) != "~ acme/app (to)" {
		t.Errorf("changed: %+v", done)
	}
	h.goesTo(d, "acme", "two")
	_, err := d.PutDocument(ctx, "acme", doc("acme", "three", ""), client.ChangeOptions{Version: 1})
	refusedAs(t, err, "stale")
	done, err := d.PutDestination(ctx, "acme", "more", []byte("kind: post\nsettings: { to: more }\n"), client.ChangeOptions{})
	if err != nil || done.Version != 3 || plan(done.Plan) != "+ acme/more" {
		t.Errorf("one more: %+v, %v", done, err)
	}
	for range 2 {
		got, err := d.Document(ctx, "acme")
		if err != nil || got.Version != 3 || strings.Contains(string(got.Text), "hunter2") || !strings.Contains(string(got.Text), "name: more") {
			t.Errorf("document %s, %v", got.Text, err)
		}
		if versions, err := d.Client.DocumentVersions(ctx, "acme"); err != nil || len(versions) != 3 || versions[0].By != "local" || time.Since(versions[0].At) > time.Minute {
			t.Errorf("versions %+v, %v", versions, err)
		}
		if err := d.stop(); err != nil {
			t.Fatal(err)
		}
		d = h.start()
		if d.send(t, "acme").Deliveries != 2 {
			t.Error("the document is not in force after a restart")
		}
		until(t, "both are delivered", func() bool { return d.pending("acme") == 0 })
	}
	if done, err = d.RemoveDestination(ctx, "acme", "more", client.ChangeOptions{}); err != nil || plan(done.Plan) != "- acme/more" {
		t.Errorf("one less: %s, %v", plan(done.Plan), err)
	}
	if done, err = d.RestoreDocument(ctx, "acme", 1, client.ChangeOptions{}); err != nil || done.Version != 5 || plan(done.Plan) != "~ acme/app (to)" {
		t.Errorf("restored: %+v, %v", done, err)
	}
	h.goesTo(d, "acme", "one")
	for _, bad := range []uint64{6, 99} {
		if _, err = d.RestoreDocument(ctx, "acme", bad, client.ChangeOptions{}); !client.IsNotFound(err) {
			t.Errorf("version %d: %v", bad, err)
		}
	}
	_, err = d.RemoveDestination(ctx, "acme", "app", client.ChangeOptions{})
	refusedAs(t, err, "removal_not_allowed")
	if !strings.Contains(h.logged(), "acme") || strings.Contains(h.logged(), "hunter2") {
		t.Error("the log shows nothing, or too much")
	}
}

// What is pending is said before a developer goes, and kept or erased.
func TestRemovingADeveloperIsAChoice(t *testing.T) {
	for _, data := range []string{"keep", "erase"} {
		t.Run(data, func(t *testing.T) {
			h := storing(t, "")
			d := h.start()
			ctx := t.Context()
			put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{})
			put(t, d, "globex", doc("globex", "two", ""), client.ChangeOptions{})
			h.goesTo(d, "acme", "one")
			if err := d.Pause(ctx, "acme", "app", ""); err != nil {
				t.Fatal(err)
			}
			ids := []string{d.send(t, "acme").ID, d.send(t, "acme").ID}
			_, err := d.Client.RemoveDeveloper(ctx, "acme", "", client.ChangeOptions{})
			if e := refusedAs(t, err, "choose_data"); !strings.Contains(e.Message, "- acme (1 destination, 2 pending)") || !d.ingest.Knows("acme") {
				t.Errorf("without a choice: %v", e)
			}
			if dry, err := d.Client.RemoveDeveloper(ctx, "acme", "", client.ChangeOptions{DryRun: true}); err != nil || plan(dry.Plan) != "- acme (1 destination, 2 pending)" || !d.ingest.Knows("acme") {
				t.Errorf("a dry run: %+v, %v", dry, err)
			}
			done, err := d.Client.RemoveDeveloper(ctx, "acme", data, client.ChangeOptions{Version: 1})
			if err != nil || plan(done.Plan) != "- acme (1 destination, 2 pending)" || (done.Events == 3) != (data == "erase") || (done.Cancelled == 2) != (data == "erase") {
				t.Errorf("removed: %+v, %v", done, err)
			}
			if d.ingest.Knows("acme") || !d.ingest.Knows("globex") {
				t.Error("the wrong one is gone")
			}
			if _, err := d.Document(ctx, "acme"); !client.IsNotFound(err) {
				t.Errorf("its document: %v", err)
			}
			_, err = d.EventBody(ctx, ids[0])
			if (err == nil) != (data == "keep") {
				t.Errorf("a body: %v", err)
			}
			versions, err := d.Client.DocumentVersions(ctx, "acme")
			if err != nil || len(versions) != map[string]int{"keep": 2, "erase": 1}[data] || !versions[0].Deleted {
				t.Errorf("versions %+v, %v", versions, err)
			}
			// Asked for again, an erasure does what is left, which is nothing.
			again, err := d.Client.RemoveDeveloper(ctx, "acme", data, client.ChangeOptions{})
			if data == "keep" && !client.IsNotFound(err) || data == "erase" && (err != nil || again.Events != 0) {
				t.Errorf("again: %+v, %v", again, err)
			}
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
			d = h.start()
			if d.ingest.Knows("acme") {
				t.Error("a restart brought them back")
			}
			put(t, d, "acme", doc("acme", "three", ""), client.ChangeOptions{New: true})
			if err := d.Resume(ctx, "acme", "app"); err != nil {
				t.Fatal(err)
			}
			if data == "keep" {
				until(t, "what was pending goes out", func() bool { return strings.Count(h.delivered(), "three") == 2 })
			}
			if _, err := d.Client.RemoveDeveloper(ctx, "nobody", data, client.ChangeOptions{}); !client.IsNotFound(err) {
				t.Errorf("nobody: %v", err)
			}
		})
	}
}

// One developer's fault is theirs: nobody else's change waits for it.
func TestAFaultyDocumentBlocksNobody(t *testing.T) {
	h := storing(t, "")
	d := h.start()
	ctx := t.Context()
	put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{})
	put(t, d, "globex", doc("globex", "two", ""), client.ChangeOptions{})
	_, err := d.PutDocument(ctx, "acme", []byte("developer: acme\ndestinations:\n  - name: app\n    kind: post\n    settings: { too: x, secret: 5 }\n  - kind: pots\n"), client.ChangeOptions{})
	refusedAs(t, err, "invalid_document")
	refused, _ := errors.AsType[*client.Refused](err)
	if refused == nil || len(refused.Faults) < 3 || refused.Faults[0].Line != 5 {
		t.Errorf("faults %+v", refused)
	}
	h.broken["broken"] = true
	_, err = d.PutDocument(ctx, "acme", doc("acme", "broken", ""), client.ChangeOptions{})
	if e := refusedAs(t, err, "invalid_document"); !strings.Contains(e.Message, "open acme/app: broken cannot be opened") {
		t.Errorf("cannot be opened: %v", e)
	}
	h.goesTo(d, "acme", "one")
	// Stored when it was sound, and not any more: the last good settings go on.
	put(t, d, "acme", doc("acme", "fragile", ""), client.ChangeOptions{})
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	h.broken["fragile"] = true
	d = h.start()
	if _, warnings := d.Health(); len(warnings) != 1 || !strings.Contains(warnings[0], "developer acme") {
		t.Errorf("warnings %q", warnings)
	}
	put(t, d, "globex", doc("globex", "three", ""), client.ChangeOptions{})
	h.goesTo(d, "globex", "three")
	if _, warnings := d.Health(); len(warnings) != 1 || !strings.Contains(warnings[0], "developer acme") || value(t, d.App, "fantail_broken_settings", "acme") != 1 {
		t.Errorf("somebody else's change made it look mended: %q", warnings)
	}
	found := false
	for head, err := range d.Developers(ctx, "ACM") {
		if err != nil || head.Developer != "acme" || len(head.Faults) != 1 || head.Version != 2 {
			t.Errorf("listed as %+v, %v", head, err)
		}
		found = true
	}
	if !found {
		t.Error("acme is not listed")
	}
	put(t, d, "acme", doc("acme", "mended", ""), client.ChangeOptions{})
	h.goesTo(d, "acme", "mended")
	if _, warnings := d.Health(); len(warnings) != 0 {
		t.Errorf("warnings %q", warnings)
	}
}

func TestDocumentsInAFolderAreReadAndNotChanged(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "one", ", links: false")
	d := h.start()
	ctx := t.Context()
	got, err := d.Document(ctx, "acme")
	if err != nil || got.Version != 0 || !strings.Contains(string(got.Text), "to: one") {
		t.Errorf("document %s, %v", got.Text, err)
	}
	if one, err := d.DocumentDestination(ctx, "acme", "app"); err != nil || !strings.Contains(string(one.Text), "kind: post") {
		t.Errorf("destination %s, %v", one.Text, err)
	}
	for _, name := range []string{"nobody", "..", "a/b", "fantail"} {
		if _, err := d.Document(ctx, name); !client.IsNotFound(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for what, do := range map[string]func() error{
		"put": func() error {
			_, err := d.PutDocument(ctx, "acme", doc("acme", "two", ""), client.ChangeOptions{})
			return err
		},
		"delete": func() error {
			_, err := d.Client.RemoveDeveloper(ctx, "acme", "keep", client.ChangeOptions{})
			return err
		},
		"restore":  func() error { _, err := d.RestoreDocument(ctx, "acme", 1, client.ChangeOptions{}); return err },
		"versions": func() error { _, err := d.Client.DocumentVersions(ctx, "acme"); return err },
		"put destination": func() error {
			_, err := d.PutDestination(ctx, "acme", "app", []byte("kind: post"), client.ChangeOptions{})
			return err
		},
		"less destination": func() error { _, err := d.RemoveDestination(ctx, "acme", "app", client.ChangeOptions{}); return err },
		"rotate": func() error {
			_, err := d.RotateSecret(ctx, "acme", "app", client.Rotation{}, client.ChangeOptions{})
			return err
		},
	} {
		if e := refusedAs(t, do(), "documents_are_files"); e.Status != 409 || !strings.Contains(e.Message, "fantail reload") {
			t.Errorf("%s: %v", what, e)
		}
	}
	h.goesTo(d, "acme", "one")
}

// Of a hundred who change the same version, one wins.
func TestOfManyChangesOneWins(t *testing.T) {
	h := storing(t, "")
	d := h.start()
	d.Patience = 0
	put(t, d, "acme", doc("acme", "start", ""), client.ChangeOptions{})
	var won, stale atomic.Int32
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			_, err := d.PutDocument(context.Background(), "acme", doc("acme", fmt.Sprint("to-", i), ""), client.ChangeOptions{Version: 1})
			if err == nil {
				won.Add(1)
			} else if e, ok := errors.AsType[*client.Error](err); ok && e.Status == 412 {
				stale.Add(1)
			} else {
				t.Errorf("put: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || stale.Load() != 99 {
		t.Errorf("%d won, %d were stale", won.Load(), stale.Load())
	}
	if got, err := d.Document(t.Context(), "acme"); err != nil || got.Version != 2 {
		t.Errorf("version %d, %v", got.Version, err)
	}
}

// keyed is a kind with a secret and an address.
type keyed struct {
	URL    string       `yaml:"url"`
	Secret secret.Value `yaml:"secret"`
}

func (keyed) Validate() error { return nil }

// withKeyed adds that kind, and remembers what it was opened with.
func withKeyed(h *home, seen *sync.Map) destination.Registry {
	kinds := h.kinds()
	kinds["keyed"] = destination.Define("keyed", destination.Traits{}, func() keyed { return keyed{} }, func(k keyed, _ destination.Deps) (destination.Destination, error) {
		seen.Store(k.URL, k.Secret.Reveal())
		return &box{h: h, to: k.URL}, nil
	})
	return kinds
}

// No answer shows a secret, and none is sent to another place than it was given for;
// after a change of keys and a restart it is what it was.
func TestSecretsOfDocumentsAreKeptAndNeverShown(t *testing.T) {
	h := storing(t, "keys: ['${file:old.key}']\n")
	h.write("old.key", "0123456789abcdef-old")
	h.write("new.key", "0123456789abcdef-new")
	var seen sync.Map
	start := func() *daemon { return h.startWith(withKeyed(h, &seen)) }
	d := start()
	ctx := t.Context()
	entry := func(url, secret string) []byte {
		return fmt.Appendf(nil, "developer: acme\ndestinations:\n  - { name: app, kind: keyed, settings: { url: %q, secret: %q } }\n", url, secret)
	}
	put(t, d, "acme", entry("https://one.example/x", "hunter2"), client.ChangeOptions{})
	got, err := d.Document(ctx, "acme")
	if err != nil || strings.Contains(string(got.Text), "hunter2") || !strings.Contains(string(got.Text), "[redacted]") {
		t.Fatalf("document %s, %v", got.Text, err)
	}
	put(t, d, "acme", []byte(strings.Replace(string(got.Text), "/x", "/y", 1)), client.ChangeOptions{})
	if secret, _ := seen.Load("https://one.example/y"); secret != "hunter2" {
		t.Errorf("kept as %v", secret)
	}
	for text, want := range map[string]string{
		strings.Replace(string(got.Text), "one.example", "evil.example", 1):           "leads elsewhere",
		strings.Replace(string(got.Text), "name: app", "name: other", 1):              "no secret is stored",
		strings.Replace(string(got.Text), "url: ", "key: '[redacted]'\n    url: ", 1): "is no secret that is kept",
		strings.Replace(string(got.Text), "'[redacted]'", "'${env:PATH}'", 1):         "holds no references",
		strings.Replace(string(got.Text), "'[redacted]'", "'${file:fantail.key}'", 1): "holds no references",
	} {
		_, err := d.PutDocument(ctx, "acme", []byte(text), client.ChangeOptions{AllowRemoval: true})
		if e := refusedAs(t, err, "invalid_document"); !strings.Contains(e.Message, want) || strings.Contains(e.Message, "hunter2") {
			t.Errorf("%s\nrefused with %v, want %s", text, e, want)
		}
	}
	if _, there := seen.Load("https://evil.example/x"); there {
		t.Error("a destination was opened at another's place")
	}
	for _, keys := range []string{"'${file:new.key}', '${file:old.key}'", "'${file:new.key}'"} {
		h.settings("developers: { store: {} }\nkeys: [" + keys + "]\n")
		if err := d.stop(); err != nil {
			t.Fatal(err)
		}
		seen.Clear()
		d = start()
		if secret, _ := seen.Load("https://one.example/y"); secret != "hunter2" {
			t.Errorf("with keys %s: %v", keys, secret)
		}
		for v := range uint64(2) {
			if _, err := d.DocumentVersion(ctx, "acme", v+1); err != nil {
				t.Errorf("version %d with keys %s: %v", v+1, keys, err)
			}
		}
	}
	for _, path := range []string{"/v1/developers", "/v1/developers/acme", "/v1/developers/acme/versions", "/v1/developers/acme/versions/1", "/v1/developers/acme/destinations/app", "/v1/changes"} {
		for _, accept := range []string{"application/json", "application/yaml"} {
			if body := raw(t, d, path, accept); strings.Contains(body, "hunter2") {
				t.Errorf("%s shows a secret: %s", path, body)
			}
		}
	}
	if strings.Contains(h.logged(), "hunter2") {
		t.Error("the log shows a secret")
	}
	if _, err := d.RotateSecret(ctx, "acme", "app", client.Rotation{}, client.ChangeOptions{}); refusedAs(t, err, "no_rotation").Status != 422 {
		t.Errorf("rotated: %v", err)
	}
}

func raw(t *testing.T, d *daemon, path, accept string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", d.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Errorf("%s: %d %s, %v", path, res.StatusCode, b, err)
	}
	if accept == "application/json" && !json.Valid(b) {
		t.Errorf("%s: no JSON: %s", path, b)
	}
	return string(b)
}

// Large, deep and odd documents are refused, and cost little.
func TestHostileDocuments(t *testing.T) {
	h := storing(t, "")
	d := h.start()
	d.Patience = 0
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", "))
	}
	for name, text := range map[string]string{
		"a bomb":              bomb,
		"deep":                strings.Repeat("[", 100_000),
		"deep JSON":           strings.Repeat(`{"a":`, 100_000),
		"1 MiB of keys":       strings.Repeat("k: 1\n", 200_000),
		"1 MiB of one key":    "developer: acme\nk: " + strings.Repeat("x", 1<<20-100),
		"50 MB":               strings.Repeat("#", 50<<20),
		"binary":              "\x00\x01\xff",
		"another's name":      string(doc("globex", "x", "")),
		"no name":             "destinations: []",
		"a name with a slash": "developer: a/b",
		"two documents":       "developer: acme\n---\ndeveloper: acme\n",
		"thousands":           "developer: acme\ndestinations:\n" + strings.Repeat("  - { name: a, kind: post }\n", 5000),
	} {
		began := time.Now()
		_, err := d.PutDocument(t.Context(), "acme", []byte(text), client.ChangeOptions{})
		if e, ok := errors.AsType[*client.Error](err); name == "50 MB" && !ok {
			continue // the connection was closed while it was written
		} else if !ok || e.Status != 422 && e.Status != 413 {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
	if d.ingest.Knows("acme") || d.ingest.Knows("globex") {
		t.Error("something was taken")
	}
	put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{})
	_, err := d.PutDocument(t.Context(), "Acme", doc("Acme", "one", ""), client.ChangeOptions{})
	if e := refusedAs(t, err, "invalid_document"); !strings.Contains(e.Message, "case does not tell names apart") {
		t.Errorf("a namesake: %v", e)
	}
}

// Files become documents once, with what their references stand for.
func TestAFolderIsImported(t *testing.T) {
	h := storing(t, "")
	var seen sync.Map
	h.settings("developers: { store: { import: developers } }\n")
	h.write("secrets/acme/key", "hunter2${x}\n")
	h.write("developers/acme.yaml", "developer: acme\ndestinations:\n  - { name: app, kind: keyed, settings: { url: 'https://one.example', secret: '${file:secrets/acme/key}' } }\n")
	h.write("developers/faulty.yaml", "developer: faulty\ndestinations: 5\n")
	d := h.startWith(withKeyed(h, &seen))
	if secret, _ := seen.Load("https://one.example"); secret != "hunter2${x}" || !strings.Contains(h.logged(), "faulty.yaml") {
		t.Errorf("opened with %v", secret)
	}
	ctx := t.Context()
	if versions, err := d.Client.DocumentVersions(ctx, "acme"); err != nil || len(versions) != 1 || versions[0].By != "import" {
		t.Errorf("versions %+v, %v", versions, err)
	}
	if _, err := d.Client.RemoveDeveloper(ctx, "acme", "keep", client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	h.write("developers/globex.yaml", "developer: globex\ndestinations:\n  - { name: app, kind: post, settings: { to: x } }\n")
	done, err := d.Client.ReloadWith(ctx, client.ReloadOptions{})
	if e := refusedAs(t, err, "developers_refused"); !strings.Contains(e.Message, "faulty.yaml:2: destinations: must be a list") || !d.ingest.Knows("globex") || d.ingest.Knows("acme") {
		t.Errorf("reload: %+v, %v", done, err)
	}
	h.write("developers/faulty.yaml", "developer: faulty\ndestinations: []\n")
	if done, err := d.Client.ReloadWith(ctx, client.ReloadOptions{}); err != nil || len(d.DocumentHeads()) != 2 {
		t.Errorf("mended: %+v, %v", done, err)
	}
}

// A daemon that dies in the middle of a change has it whole or not at all.
func TestAStoredChangeIsInForceAfterACrash(t *testing.T) {
	h := storing(t, "")
	d := h.start()
	put(t, d, "acme", doc("acme", "one", ""), client.ChangeOptions{})
	// As if it had died between the store and the settings in force.
	cur := d.current.Load()
	text := []byte(strings.Replace(string(doc("acme", "two", "")), "# hunter2 in a comment\n", "", 1))
	if _, err := d.store.PutDocument(t.Context(), 1, storeDocument("acme", cur.keys.Seal(sealDocument, text))); err != nil {
		t.Fatal(err)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	h.goesTo(d, "acme", "two")
}

func storeDocument(developer string, sealed []byte) store.Document {
	return store.Document{Developer: developer, At: time.Now(), By: "local", Text: sealed}
}
