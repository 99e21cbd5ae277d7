package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// documents are the files of the sources that every archive has.
var documents = []string{"LICENSE", "README.md", "CHANGELOG.md"}

// archive packs what is downloaded: one folder, fantail/, with the program, its manual and completion.
// The name has no version, so that a link to the newest release lasts.
func (r *release) archive(_ context.Context, p platform, extras string) error {
	files := map[string]string{"fantail": filepath.Join(r.dir(p), "fantail")}
	for _, name := range documents {
		files[name] = filepath.Join(r.source, name)
	}
	err := filepath.WalkDir(extras, func(at string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(extras, at)
		files[filepath.ToSlash(name)] = at
		return err
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := r.pack(&b, files); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "fantail_"+p.String()+".tar.gz"), b.Bytes(), 0o644)
}

// pack writes files, by their name in the archive, with nothing of this machine: no owner, no time but
// the commit's, in the order of their names.
func (r *release) pack(w io.Writer, files map[string]string) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	out := tar.NewWriter(zip)
	add := func(h tar.Header, body []byte) error {
		h.ModTime, h.Format, h.Size = r.date, tar.FormatUSTAR, int64(len(body))
		if err := out.WriteHeader(&h); err != nil {
			return err
		}
		_, err := out.Write(body)
		return err
	}
	folders := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		at := path.Join("fantail", name)
		if folder := path.Dir(at); !folders[folder] {
			folders[folder] = true
			if err := add(tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755}, nil); err != nil {
				return err
			}
		}
		body, err := os.ReadFile(files[name])
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if name == "fantail" {
			mode = 0o755
		}
		if err := add(tar.Header{Typeflag: tar.TypeReg, Name: at, Mode: mode}, body); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return zip.Close()
}

// sums writes the checksums of what is downloaded, as `sha256sum --check` reads them.
func (r *release) sums() error {
	entries, err := os.ReadDir(r.out) // in the order of their names
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, e := range entries {
		if e.IsDir() || e.Name() == "RELEASE-NOTES.md" {
			continue
		}
		body, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(body), e.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(b.String()), 0o644)
}
