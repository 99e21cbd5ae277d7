package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// readFolder returns the texts of the developers' folder, in the order of the
// files' names: one file for each developer, called after them.
func (d *daemon) readFolder() (texts []Text) {
	if d.file.Developers.Folder == "" {
		return nil // a fault already, or another source
	}
	dir := absolute(d.dir, d.file.Developers.Folder)
	shown := filepath.Join(filepath.Dir(d.doc.File), d.file.Developers.Folder)
	if filepath.IsAbs(d.file.Developers.Folder) {
		shown = dir
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		d.doc.Fault(strictyaml.LineOf(d.doc.Root, "developers"), "developers: read folder %s: %v", shown, bare(err))
		return nil
	}
	own := filepath.Join(d.dir, filepath.Base(d.doc.File))
	for _, e := range entries {
		if isSettings(e) && filepath.Join(dir, e.Name()) != own {
			texts = append(texts, Text{ID: stem(e.Name()), File: filepath.Join(shown, e.Name())})
		}
	}
	parallel(len(texts), func(i int) {
		t := &texts[i]
		t.Raw, t.Err = readFile(filepath.Join(dir, filepath.Base(t.File)), strictyaml.MaxFile)
	})
	judgeNames(texts)
	return texts
}

// isSettings leaves out what editors, file systems and mounted volumes put
// beside the files (.acme.yaml.swp, .#acme.yaml, ..data).
func isSettings(e fs.DirEntry) bool {
	name := e.Name()
	ext := filepath.Ext(name)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(name, ".")
}

// stem returns the name of a file without its ending.
func stem(base string) string { return strings.TrimSuffix(base, filepath.Ext(base)) }

// judgeNames adds what the names of files tell: which developers have several files, and what
// to do about a file that is not called after its developer. Ids that differ in case alone
// count as the same: some file systems would give them one folder of secrets.
func judgeNames(texts []Text) {
	files := make(map[string][]string, len(texts)) // by developer
	for i := range texts {
		id := strings.ToLower(texts[i].ID)
		files[id] = append(files[id], filepath.Base(texts[i].File))
	}
	for i := range texts {
		t := &texts[i]
		own := filepath.Base(t.File)
		isOther := func(file string) bool { return file != own }
		if same := files[strings.ToLower(t.ID)]; len(same) > 1 {
			others := slices.DeleteFunc(slices.Clone(same), func(file string) bool { return file == own })
			t.Clash = strings.Join(others, ", ") + " is of the same developer (case does not tell ids apart): keep one file"
		}
		t.Misnamed = func(named string) string {
			right := named + filepath.Ext(own)
			remedy := "rename it to " + right
			if slices.ContainsFunc(files[strings.ToLower(named)], isOther) {
				remedy = right + " exists already: keep one of them"
			}
			if event.ValidName(t.ID) {
				remedy += ", or write developer: " + t.ID
			}
			return fmt.Sprintf("a developer's file is called after its developer, and this one, %s, names %s: %s", own, named, remedy)
		}
	}
}
