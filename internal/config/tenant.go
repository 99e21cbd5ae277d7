package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// tenant is one developer's file on its way to a Developer.
type tenant struct {
	id    string // the developer, by the name of the file
	named string // another developer, whom the file says it is of
	doc   *strictyaml.Document
	file  developerFile
	refs  []map[string][]byte

	hasty   []string // destinations with waits that are too short
	hastyAt int      // line of the first
}

// readTenant reads the text of one file as far as it stands alone. Whose it is
// is said by its name: what it says itself could be anything, and must agree.
func readTenant(path, base string, raw []byte) *tenant {
	t := &tenant{id: stem(base), doc: strictyaml.Parse(path, raw)}
	if t.doc.Root == nil {
		return t
	}
	b := newBinder(t.doc, t.doc.Root, "")
	b.Bind(t.doc.Root, &t.file, "")
	b.Require("developer", t.file.Developer != "", "is missing: every file names its developer")
	b.Require("developer", event.ValidName(t.file.Developer), nameRule)
	if b.OK("developer") && t.file.Developer != t.id {
		t.named = t.file.Developer
	}
	return t
}

// stem returns the name of a file without its ending.
func stem(base string) string { return strings.TrimSuffix(base, filepath.Ext(base)) }

// misnamed notes that the file is not called after the developer that it names,
// with what to do; there tells whether a file of the right name exists.
func (t *tenant) misnamed(there bool) {
	base := filepath.Base(t.doc.File)
	right := t.named + filepath.Ext(base)
	remedy := "rename it to " + right
	if there {
		remedy = right + " exists already: keep one of them"
	}
	if event.ValidName(t.id) {
		remedy += ", or write developer: " + t.id
	}
	t.doc.Fault(strictyaml.LineOf(t.doc.Root, "developer"), "developer: a developer's file is called after its developer, and this one, %s, names %s: %s", base, t.named, remedy)
}

// claim notes files that are not called after their developer, and developers
// with several files. It returns the developers there are. Ids that differ in
// case only count as the same: some file systems would give them one folder of
// secrets.
func claim(tenants []*tenant) namesakes {
	files := map[string][]*tenant{}
	names := namesakes{}
	for _, t := range tenants {
		id := strings.ToLower(t.id)
		files[id] = append(files[id], t)
		names.add(t.id)
	}
	for _, t := range tenants {
		if t.named != "" {
			right := files[strings.ToLower(t.named)]
			t.misnamed(len(right) > 1 || len(right) == 1 && right[0] != t)
		}
		var others []string
		for _, o := range files[strings.ToLower(t.id)] {
			if o != t {
				others = append(others, filepath.Base(o.doc.File))
			}
		}
		if len(others) > 0 {
			t.doc.Fault(strictyaml.LineOf(t.doc.Root, "developer"), "developer: %s is of the same developer (case does not tell ids apart): keep one file", strings.Join(others, ", "))
		}
	}
	return names
}

// lookup resolves the references of the file. Of one that is not called after the
// developer it names no secret is read, but what renaming it would leave to
// mend is told at once.
func (t *tenant) lookup(r *rules) strictyaml.Lookup {
	switch {
	case t.named != "":
		return func(ref strictyaml.Reference) ([]byte, error) {
			if _, err := r.names.permit(t.named, ref); err != nil {
				return nil, err
			}
			return nil, strictyaml.ErrUnresolved
		}
	case t.file.Developer != t.id:
		return func(strictyaml.Reference) ([]byte, error) { return nil, strictyaml.ErrUnresolved }
	}
	return noteExposed(r.daemon.Dir, developerLookup(r.daemon.Dir, t.id, r.names), func(what string) {
		t.doc.Note(0, what)
	})
}

// noteHasty says which destinations have waits that are lengthened: in one line,
// however many there are.
func (t *tenant) noteHasty(l *PerDeveloper) {
	if len(t.hasty) == 0 {
		return
	}
	names := strings.Join(t.hasty[:min(len(t.hasty), 5)], ", ")
	if more := len(t.hasty) - 5; more > 0 {
		names += " and " + strconv.Itoa(more) + " more"
	}
	t.doc.Note(t.hastyAt, fmt.Sprintf("waits of retry that are shorter than limits.per_developer.shortest_wait of fantail.yaml, %s, are lengthened to it: %s", short(l.ShortestWait), names))
}
