package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// deb makes the Debian package of a platform with nfpm, whose module and settings lie in packaging/deb.
func (r *release) deb(ctx context.Context, p platform, extras string) error {
	if p.os != "linux" {
		return nil
	}
	staged := filepath.Join(r.out, "staged")
	defer os.RemoveAll(staged)
	if err := r.stage(p, extras, staged); err != nil {
		return err
	}
	abs, err := filepath.Abs(r.out)
	if err != nil {
		return err
	}
	folder := filepath.Join(r.source, "packaging", "deb")
	_, err = r.command(ctx, folder, append([]string{
		"SOURCE_DATE_EPOCH=" + fmt.Sprint(r.date.Unix()),
		"DEB_ARCH=" + p.arch, "DEB_VERSION=" + strings.TrimPrefix(r.version, "v"), "DEB_STAGED=" + filepath.Join(abs, "staged"),
	}, settled...), "go", "tool", "nfpm", "package", "--packager", "deb", "--config", "nfpm.yaml", "--target", filepath.Join(abs, "fantail_"+p.arch+".deb"))
	return err
}

// stage lays out the files of the package as they will lie on the machine, below dir. The unit and its
// backup name the programs where a package has to put them.
func (r *release) stage(p platform, extras, dir string) error {
	put := func(to string, mode os.FileMode, from ...string) error {
		body, err := os.ReadFile(filepath.Join(from...))
		if err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(to, ".gz"):
			if body, err = zipped(body); err != nil {
				return err
			}
		case strings.HasPrefix(to, "usr/lib/systemd/"):
			body = bytes.ReplaceAll(body, []byte("/usr/local/bin/"), []byte("/usr/bin/"))
		}
		at := filepath.Join(dir, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, body, mode); err != nil {
			return err
		}
		return os.Chtimes(at, r.date, r.date) // nfpm takes it over
	}
	type file struct {
		to   string
		mode os.FileMode
		from []string
	}
	files := []file{
		{"usr/bin/fantail", 0o755, []string{r.dir(p), "fantail"}},
		{"usr/bin/fantail-backup", 0o755, []string{r.source, "configs/systemd/fantail-backup"}},
		{"usr/share/bash-completion/completions/fantail", 0o644, []string{extras, "completion/fantail.bash"}},
		{"usr/share/zsh/vendor-completions/_fantail", 0o644, []string{extras, "completion/_fantail"}},
		{"usr/share/fish/vendor_completions.d/fantail.fish", 0o644, []string{extras, "completion/fantail.fish"}},
		{"usr/share/doc/fantail/changelog.gz", 0o644, []string{r.source, "CHANGELOG.md"}},
	}
	for _, unit := range []string{"fantail.service", "fantail-backup.service", "fantail-backup.timer"} {
		files = append(files, file{"usr/lib/systemd/system/" + unit, 0o644, []string{r.source, "configs/systemd", unit}})
	}
	pages, err := os.ReadDir(filepath.Join(extras, "man"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		files = append(files, file{"usr/share/man/man1/" + page.Name() + ".gz", 0o644, []string{extras, "man", page.Name()}})
	}
	for _, f := range files {
		if err := put(f.to, f.mode, f.from...); err != nil {
			return err
		}
	}
	return nil
}

// zipped is body as gzip -n9 would have it: without a name and a time.
func zipped(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
