package config

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Load is one reading of a Loader.
func Load(path string, kinds destination.Registry) (*Snapshot, error) {
	return NewLoader(path, kinds).Load(context.Background())
}

// LoadDaemon reads fantail.yaml alone. The error is Faults.
func LoadDaemon(path string) (*Daemon, error) {
	_, d, err := readDaemonFile(path)
	if err == nil && !d.doc.Sound() {
		err = Faults(d.doc.Faults())
	}
	if err != nil {
		return nil, err
	}
	settings := d.settings()
	return &settings, nil
}

func readDaemonFile(path string) (raw []byte, d *daemon, err error) {
	raw, err = readFile(path, strictyaml.MaxFile)
	if err != nil {
		return nil, nil, Faults{{File: path, Message: "cannot be read: " + err.Error()}}
	}
	if d = readDaemon(path, raw); d.doc.Root == nil {
		return nil, nil, Faults(d.doc.Faults())
	}
	return raw, d, nil
}

// Load reads fantail.yaml and the developers' texts. With faults in fantail.yaml the Snapshot is
// nil. With faults in developers' texts only, it holds the sound developers and names the others
// in Broken. The error is Faults: those of fantail.yaml first, then those of the developers'
// texts in the order of their source. Load connects to nothing, resolves no names and writes
// nothing. It ends early when ctx does, with its cause: reading the keys and certificates of
// many destinations takes a while.
func (l *Loader) Load(ctx context.Context) (*Snapshot, error) {
	path := l.path
	raw, d, err := readDaemonFile(path)
	if err != nil {
		return nil, err
	}
	snap := &Snapshot{
		file: d.file, Daemon: d.settings(),
		Developers: map[string]*Developer{}, Broken: map[string][]Fault{}, Claimed: map[string]string{},
	}
	d.healthcheckKinds(l.kinds)
	texts := d.readFolder()
	snap.Keys = d.ring()
	texts, err = d.texts(ctx, texts, snap.Keys, l.Documents)
	if err != nil {
		return nil, err
	}
	snap.Notes = strictyaml.Sort(d.doc.Notes)
	snap.Rules = snap.Daemon.rules(l.kinds, snap.Keys)
	snap.Secrets = snap.Daemon.secrets(texts)
	id := newIdentity(path, raw, d.refs)
	all := l.bindAll(ctx, texts, snap.Rules, snap.Secrets)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	faults := snap.enter(texts, all, id)
	if own := d.doc.Faults(); len(own) > 0 {
		return nil, append(Faults(own), faults...)
	}
	l.keep(texts, all, snap.Rules)
	snap.Identity = snap.Keys.Fingerprint(id.sum.Sum(nil))
	snap.Notes = append(snap.Notes, d.strangers(snap)...)
	snap.Notes = append(snap.Notes, d.unheard(snap)...)
	if how := exposed(snap.Daemon.TLS.Key); how != "" {
		snap.Notes = append(snap.Notes, Fault{File: path, Line: strictyaml.LineOf(d.doc.Root, "tls"), Message: "tls: key " + how})
	}
	for _, note := range snap.Secrets.names.outdated() {
		snap.Notes = append(snap.Notes, Fault{File: path, Message: note})
	}
	if len(faults) > 0 {
		return snap, faults
	}
	return snap, nil
}

// enter takes over what came of the texts, and returns the faults of all.
func (s *Snapshot) enter(texts []Text, all []*kept, id *identity) (faults Faults) {
	there := make(map[string]bool, len(texts))
	for i := range texts {
		there[texts[i].ID] = true
	}
	for i, k := range all {
		developer, bound := texts[i].ID, &k.bound
		id.text(k)
		if bound.Developer != nil {
			s.Developers[developer] = bound.Developer
			s.Notes = append(s.Notes, bound.Notes...)
			continue
		}
		s.Broken[developer] = append(s.Broken[developer], bound.Faults...)
		faults = append(faults, bound.Faults...)
		if bound.Names != "" && !there[bound.Names] {
			s.Claimed[developer] = bound.Names
		}
	}
	return faults
}

// ring builds the keys. When there are faults it makes throw-away ones, so that the developers'
// files can still be checked.
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

// strangers notes developers and destinations that fantail.yaml names and no text has.
func (d *daemon) strangers(snap *Snapshot) (notes []Fault) {
	note := func(path, message string) {
		notes = append(notes, Fault{File: d.doc.File, Line: strictyaml.LineOf(d.doc.Root, path), Message: path + ": " + message})
	}
	if d.file.Developers.Store != nil && len(snap.Developers)+len(snap.Broken) == 0 {
		return nil // nobody has been entered yet, or nobody looked
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

func newIdentity(path string, raw []byte, refs map[string][]byte) *identity {
	id := &identity{sha256.New()}
	id.add(path, raw)
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		id.add(name, refs[name])
	}
	return id
}

func (id *identity) text(k *kept) {
	_, _ = id.sum.Write(k.sum[:])
	for _, l := range k.bound.looked {
		id.add(l.reference.String(), l.sum[:])
	}
}

func (id *identity) add(name string, text []byte) {
	for _, part := range [][]byte{[]byte(name), text} {
		_, _ = id.sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = id.sum.Write(part)
	}
}
