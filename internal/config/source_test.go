package config

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/keyring"
)

func stored(texts ...Text) Documents {
	return func(context.Context, *keyring.Ring) ([]Text, error) { return texts, nil }
}

func loadStored(t *testing.T, path string, documents Documents) (*Snapshot, error) {
	l := NewLoader(path, kinds())
	l.Documents = documents
	return l.Load(t.Context())
}

func TestDevelopersAreInAFolderOrInTheStore(t *testing.T) {
	for text, want := range map[string]struct {
		source Source
		fault  string
	}{
		"":                                     {source: Source{Folder: "developers"}},
		"developers: developers/\n":            {source: Source{Folder: "developers"}},
		"developers: { folder: developers }\n": {source: Source{Folder: "developers"}},
		"developers: { store: {} }\n":          {source: Source{Stored: true}},
		"developers: { store: { import: developers } }\n":     {source: Source{Stored: true, Import: "developers"}},
		"developers: { folder: developers, store: {} }\n":     {fault: "fantail.yaml:1: developers: has folder and store: choose one"},
		"developers: { store: }\n":                            {fault: "has no value"},
		"developers: { stor: {} }\n":                          {fault: "fantail.yaml:1: developers: unknown key stor: did you mean store?"},
		"developers: { store: { import: developers, x: 1 } }": {fault: "unknown key x"},
		"developers: ''\n":                                    {fault: "must name a folder"},
		"developers: [developers]\n":                          {fault: "must be a mapping of keys: folder, store"},
	} {
		path := folder(t, map[string]string{"fantail.yaml": text, "developers/acme.yaml": acme})
		t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
		snap, err := Load(path, kinds())
		if want.fault != "" {
			if err == nil || !strings.Contains(err.Error(), want.fault) {
				t.Errorf("%q: %v, want %s", text, err, want.fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, p := range []*string{&want.source.Folder, &want.source.Import} {
			if *p != "" {
				*p = filepath.Join(filepath.Dir(path), *p)
			}
		}
		if snap.Daemon.Developers != want.source || (snap.Find("acme", "app") != nil) == want.source.Stored {
			t.Errorf("%q: %+v, developers %v", text, snap.Daemon.Developers, snap.Developers)
		}
	}
}

// A tenant who writes a document must not read files or variables of the server.
func TestStoredDocumentsHoldNoReferences(t *testing.T) {
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "s3cret")
	path := folder(t, map[string]string{"fantail.yaml": "developers: { store: {} }\ntokens: [{ name: a, value: 0123456789abcdef, may: [read], developers: [nobody] }]\n", "secrets/acme/key": "s3cret"})
	literal := strings.Replace(acme, "${env:FANTAIL_DEV_ACME_SECRET}", "plain", 1)
	snap, err := loadStored(t, path, stored(
		Text{ID: "acme", File: "acme", Raw: []byte(acme)},
		Text{ID: "globex", File: "globex", Raw: []byte(strings.Replace(literal, "acme", "globex", 1))},
		Text{ID: "initech", File: "initech", Raw: []byte(strings.Replace(strings.Replace(acme, "developer: acme", "developer: initech", 1), "${env:FANTAIL_DEV_ACME_SECRET}", "${file:secrets/initech/key}", 1))},
		Text{ID: "other", File: "other", Err: errors.New("sealed under a key that is not there")},
	))
	if snap == nil || snap.Find("globex", "app") == nil || len(snap.Developers) != 1 {
		t.Fatalf("developers %+v, %v", snap, err)
	}
	for _, id := range []string{"acme", "initech"} {
		if faults := Faults(snap.Broken[id]).Error(); !strings.Contains(faults, id+":") || !strings.Contains(faults, "a document in the store holds no references") || strings.Contains(faults, "s3cret") {
			t.Errorf("faults of %s: %s", id, faults)
		}
	}
	if faults := Faults(snap.Broken["other"]).Error(); !strings.Contains(faults, "sealed under a key") {
		t.Errorf("faults %s", faults)
	}
	if len(snap.Notes) == 0 || !strings.Contains(snap.Notes[0].Message, "there is no developer nobody") {
		t.Errorf("notes %v", snap.Notes)
	}
	if _, err := loadStored(t, path, func(context.Context, *keyring.Ring) ([]Text, error) { return nil, errors.New("disk") }); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Errorf("what the store cannot read: %v", err)
	}
	if snap, err := Load(path, kinds()); err != nil || len(snap.Notes) != 1 || !strings.Contains(snap.Notes[0].Message, "where the daemon alone sees them") {
		t.Errorf("without the store: %v, %+v", err, snap)
	}
}
