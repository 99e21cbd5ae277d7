package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// lookup resolves the references of fantail.yaml. The file of the first key may be missing,
// because serve makes it. Until then a key that lives as long as this reading stands in for it,
// so that settings can be checked before the first start.
func (d *daemon) lookup() strictyaml.Lookup {
	look := operatorLookup(d.dir)
	first := firstKey(&d.file)
	look = noteExposed(d.dir, look, func(what string) {
		if !strings.HasPrefix(what, "file "+first.Name+" ") { // of which noteMode wants more
			d.doc.Note(0, what)
		}
	})
	return func(r strictyaml.Reference) ([]byte, error) {
		value, err := look(r)
		if r != first || !errors.Is(err, fs.ErrNotExist) {
			if err == nil && r == first {
				d.noteMode(r)
			}
			return value, err
		}
		d.note("keys", fmt.Sprintf("file %s does not exist yet: serve makes it with a random key", r.Name))
		return newKey(), nil
	}
}

// noteMode warns when others may read the key.
func (d *daemon) noteMode(r strictyaml.Reference) {
	if info, err := os.Stat(absolute(d.dir, r.Name)); r.Scheme == "file" && err == nil && info.Mode().Perm()&0o077 != 0 {
		d.note("keys", fmt.Sprintf("file %s can be read by other users of this machine: chmod 600", r.Name))
	}
}

// firstKey returns the reference that the first key is, if it is one.
func firstKey(f *daemonFile) strictyaml.Reference {
	if len(f.Keys) == 0 {
		return strictyaml.Reference{}
	}
	ref, _, err := strictyaml.ParseReference(f.Keys[0].Reveal())
	if err != nil {
		return strictyaml.Reference{}
	}
	return ref
}

func newKey() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.AppendEncode(nil, b)
}

func (r *daemonRules) keys() {
	const maxKeys = 16
	keys := r.daemon.file.Keys
	r.Require("keys", len(keys) > 0, "must hold at least one key: leave it out for ${file:"+defaultKeyFile+"}")
	r.Require("keys", len(keys) <= maxKeys, fmt.Sprintf("has more than %d entries", maxKeys))
	if !r.Shape("keys") || len(keys) > maxKeys {
		return
	}
	for i, k := range keys {
		path := strictyaml.Index("keys", i)
		r.Require(path, len(k.Reveal()) >= keyring.MinKey, fmt.Sprintf("must have at least %d bytes: make one with `openssl rand -base64 32`", keyring.MinKey))
		r.Require(path, !slices.ContainsFunc(keys[:i], func(o secret.Value) bool { return o.Reveal() == k.Reveal() }), "is there twice: remove one")
	}
}

// EnsureKeyFile makes the file of the first key that the fantail.yaml at path names, with a
// random key and mode 0600, when that file does not exist. It returns the paths of the files it
// made. It makes the first key alone: a missing old key cannot be made anew, and Load reports
// it. Load also reports a fantail.yaml with faults in its keys. A file that exists is never
// changed.
func EnsureKeyFile(path string) (made []string, err error) {
	raw, err := readFile(path, strictyaml.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", path, err)
	}
	doc := strictyaml.Parse(path, raw)
	if doc.Root == nil {
		return nil, nil
	}
	name := defaultKeyFile
	if _, keys := strictyaml.Find(doc.Root, "keys"); keys != nil {
		_, first := strictyaml.Find(keys, "[0]")
		if first == nil {
			return nil, nil
		}
		ref, _, err := strictyaml.ParseReference(first.Value)
		if err != nil || ref.Scheme != "file" {
			return nil, nil
		}
		name = ref.Name
	}
	file := absolute(dir, name)
	if _, shared := strictyaml.Find(doc.Root, "store.postgres"); shared != nil {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the key file %s is missing: a store that daemons share is sealed with one key, which no daemon makes by itself: "+
				"put the same file beside each fantail.yaml (the first time: head -c 32 /dev/urandom | base64 > %s; chmod 600 %s)", file, file, file)
		}
		return nil, nil
	}
	ok, err := writeNew(file, append(newKey(), '\n'))
	if err != nil {
		return nil, fmt.Errorf("make the key file %s: %w", file, bare(err))
	}
	if !ok {
		return nil, nil
	}
	return []string{file}, nil
}

// writeNew writes a file that must survive a power failure. made is false when the file exists
// already.
func writeNew(path string, text []byte) (made bool, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, errors.Join(err, os.Remove(path))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return false, err
	}
	return true, errors.Join(dir.Sync(), dir.Close())
}
