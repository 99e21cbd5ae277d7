package config

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFileIsMadeOnceAndForTheOwnerOnly(t *testing.T) {
	for _, c := range []struct{ name, text, file string }{
		{"default", "", "fantail.key"},
		{"named", "keys: ['${file:sub/k}', '${file:old.key}']\n", "sub/k"},
		{"alias", "brand: &x terra\nkeys: ['${file:other.key}']\n", "other.key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := folder(t, map[string]string{"fantail.yaml": c.text, "sub/x": "", "old.key": strings.Repeat("o", 16)})
			dir := filepath.Dir(path)
			if err := os.Remove(filepath.Join(dir, "fantail.key")); err != nil {
				t.Fatal(err)
			}

			before := load(t, path)
			if len(before.Notes) == 0 || !strings.Contains(before.Notes[0].Message, "serve makes it") {
				t.Errorf("notes: %v", before.Notes)
			}
			if _, err := os.Stat(filepath.Join(dir, c.file)); !os.IsNotExist(err) {
				t.Fatalf("Load made the key: %v", err)
			}

			made, err := EnsureKeyFile(path)
			if err != nil || len(made) != 1 || made[0] != filepath.Join(dir, c.file) {
				t.Fatalf("made %v, %v", made, err)
			}
			info, err := os.Stat(made[0])
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			text, err := os.ReadFile(made[0])
			if err != nil {
				t.Fatal(err)
			}
			if key, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(string(text), "\n")); err != nil || len(key) != 32 {
				t.Errorf("a key of %d bytes, %v", len(key), err)
			}
			if made, err := EnsureKeyFile(path); err != nil || made != nil {
				t.Errorf("again: made %v, %v", made, err)
			}
			if again, err := os.ReadFile(made[0]); err != nil || string(again) != string(text) {
				t.Errorf("the key was changed: %v", err)
			}
			if snap := load(t, path); len(snap.Notes) != 0 || snap.Identity == before.Identity {
				t.Errorf("the key is not used: %v", snap.Notes)
			}
		})
	}
}

func TestKeyFileIsNotMadeWhereItShouldNot(t *testing.T) {
	t.Setenv("FANTAIL_TEST_KEY", strings.Repeat("k", 16))
	for _, text := range []string{
		"keys: ['${env:FANTAIL_TEST_KEY}', '${file:old.key}']\n",
		"keys: [0123456789abcdef]\n",
		"keys: []\n", "keys: {}\n", "keys: [\n", "keys: ['x${file:y}']\n",
	} {
		path := folder(t, map[string]string{"fantail.yaml": text})
		dir := filepath.Dir(path)
		if err := os.Remove(filepath.Join(dir, "fantail.key")); err != nil {
			t.Fatal(err)
		}
		made, err := EnsureKeyFile(path)
		if err != nil || made != nil {
			t.Errorf("%s: made %v, %v", text, made, err)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "*key")); len(files) != 0 {
			t.Errorf("%s: made %v", text, files)
		}
	}
	if _, err := EnsureKeyFile(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("no error without a file")
	}
	if _, err := EnsureKeyFile(folder(t, map[string]string{"fantail.yaml": "keys: ['${file:no/such/folder/k}']\n"})); err == nil {
		t.Error("no error without a folder")
	}
}

func TestKeyThatOthersCanReadIsNoted(t *testing.T) {
	path := folder(t, nil)
	if err := os.Chmod(filepath.Join(filepath.Dir(path), "fantail.key"), 0o640); err != nil {
		t.Fatal(err)
	}
	if snap := load(t, path); len(snap.Notes) != 1 || !strings.Contains(snap.Notes[0].Message, "chmod 600") {
		t.Errorf("notes: %v", snap.Notes)
	}
}
