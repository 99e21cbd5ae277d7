package config

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Load reads path (fantail.yaml) and its developers' folder. With faults in
// path the Snapshot is nil; with faults in developers' files only, it holds
// the sound developers and names the others in Broken. The error is Faults, of
// fantail.yaml first, then of the developers' files in the order of their names.
// Load connects to nothing, resolves no names and writes nothing.
func Load(path string, kinds destination.Registry) (*Snapshot, error) {
	return LoadContext(context.Background(), path, kinds)
}

// LoadContext is Load that ends early when ctx does, with its cause: keys and
// certificates of many destinations take a while to read.
func LoadContext(ctx context.Context, path string, kinds destination.Registry) (*Snapshot, error) {
	raw, err := readFile(path, strictyaml.MaxFile)
	if err != nil {
		return nil, Faults{{File: path, Message: "cannot be read: " + err.Error()}}
	}
	d := readDaemon(path, raw)
	if d.doc.Root == nil {
		return nil, Faults(d.doc.Faults())
	}
	snap := &Snapshot{
		Daemon: d.settings(), Notes: strictyaml.Sort(d.doc.Notes),
		Developers: map[string]*Developer{}, Broken: map[string][]Fault{}, Claimed: map[string]string{},
	}
	d.healthcheckKinds(kinds)
	id := newIdentity()
	id.add(path, raw)
	id.refs(d.refs)

	tenants := d.tenants(id)
	snap.Keys = d.ring()
	r := &rules{kinds: kinds, keys: snap.Keys, daemon: snap.Daemon, names: claim(tenants)}
	there := make(map[string]bool, len(tenants))
	for _, t := range tenants {
		there[t.id] = true
	}
	var faults Faults
	for _, t := range tenants {
		dev := t.bind(ctx, r)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if dev != nil {
			snap.Developers[dev.ID] = dev
			snap.Notes = append(snap.Notes, strictyaml.Sort(t.doc.Notes)...)
		} else {
			found := t.doc.Faults()
			snap.Broken[t.id] = append(snap.Broken[t.id], found...)
			faults = append(faults, found...)
			if t.named != "" && !there[t.named] {
				snap.Claimed[t.id] = t.named
			}
		}
		for _, refs := range t.refs {
			id.refs(refs)
		}
	}
	if own := d.doc.Faults(); len(own) > 0 {
		return nil, append(Faults(own), faults...)
	}
	snap.Identity = snap.Keys.Fingerprint(id.sum.Sum(nil))
	snap.Notes = append(snap.Notes, d.strangers(snap)...)
	snap.Notes = append(snap.Notes, d.unheard(snap)...)
	if how := exposed(snap.Daemon.TLS.Key); how != "" {
		snap.Notes = append(snap.Notes, Fault{File: path, Line: strictyaml.LineOf(d.doc.Root, "tls"), Message: "tls: key " + how})
	}
	for _, note := range r.names.outdated() {
		snap.Notes = append(snap.Notes, Fault{File: path, Message: note})
	}
	if len(faults) > 0 {
		return snap, faults
	}
	return snap, nil
}

// ring builds the keys; throw-away ones when there are faults, so that the
// developers' files can be checked all the same.
func (d *daemon) ring() *keyring.Ring {
	if d.doc.Sound() {
		ring, err := keyring.New(d.file.Keys)
		if err == nil {
			return ring
		}
		d.doc.Fault(strictyaml.LineOf(d.doc.Root, "keys"), "keys: %v", err)
	}
	ring, err := keyring.New([]secret.Value{secret.New(string(newKey()))})
	if err != nil {
		panic(fmt.Sprintf("make a key: %v", err))
	}
	return ring
}

// tenants reads the developers' folder.
func (d *daemon) tenants(id *identity) []*tenant {
	if d.file.Developers == "" {
		return nil // a fault already
	}
	dir := absolute(d.dir, d.file.Developers)
	shown := filepath.Join(filepath.Dir(d.doc.File), d.file.Developers)
	if filepath.IsAbs(d.file.Developers) {
		shown = dir
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		d.doc.Fault(strictyaml.LineOf(d.doc.Root, "developers"), "developers: read folder %s: %v", shown, bare(err))
		return nil
	}
	var all []*tenant
	for _, e := range entries { // in the order of their names
		if !isSettings(e) || filepath.Join(dir, e.Name()) == filepath.Join(d.dir, filepath.Base(d.doc.File)) {
			continue
		}
		raw, err := readFile(filepath.Join(dir, e.Name()), strictyaml.MaxFile)
		file := filepath.Join(shown, e.Name())
		if err != nil {
			t := &tenant{id: stem(e.Name()), doc: &strictyaml.Document{File: file}}
			t.doc.Fault(0, "cannot be read: %v", err)
			all = append(all, t)
			continue
		}
		id.add(e.Name(), raw)
		all = append(all, readTenant(file, e.Name(), raw))
	}
	return all
}

// isSettings leaves out what editors, file systems and mounted volumes put
// beside the files (.acme.yaml.swp, .#acme.yaml, ..data).
func isSettings(e fs.DirEntry) bool {
	name := e.Name()
	ext := filepath.Ext(name)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(name, ".")
}

// strangers notes names in fantail.yaml that no file knows.
func (d *daemon) strangers(snap *Snapshot) (notes []Fault) {
	note := func(path, message string) {
		notes = append(notes, Fault{File: d.doc.File, Line: strictyaml.LineOf(d.doc.Root, path), Message: path + ": " + message})
	}
	exists := func(developer string) bool {
		return snap.Developers[developer] != nil || snap.Broken[developer] != nil
	}
	for i, t := range d.file.Tokens {
		for j, dev := range t.Developers {
			if !exists(dev) {
				note(strictyaml.Index(strictyaml.Index("tokens", i)+".developers", j), "there is no developer "+dev)
			}
		}
	}
	for path, names := range map[string][]string{"ambient": d.file.Ambient, "notices.destinations": d.file.Notices.Destinations} {
		for i, name := range names {
			developer, destination, _ := strings.Cut(name, "/")
			if snap.Broken[developer] == nil && snap.Find(developer, destination) == nil {
				note(strictyaml.Index(path, i), "there is no destination "+name)
			}
		}
	}
	return strictyaml.Sort(notes)
}

// identity gathers the text of everything that was read.
type identity struct{ sum hash.Hash }

func newIdentity() *identity { return &identity{sha256.New()} }

func (id *identity) add(name string, text []byte) {
	for _, part := range [][]byte{[]byte(name), text} {
		_, _ = id.sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = id.sum.Write(part)
	}
}

func (id *identity) refs(refs map[string][]byte) {
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		id.add(name, refs[name])
	}
}
