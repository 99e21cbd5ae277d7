package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// developersFile says where developers' texts are: a folder, whose name may be the whole value,
// or the store.
type developersFile struct {
	Folder string         `yaml:"folder"`
	Store  *documentsFile `yaml:"store"`
}

// documentsFile is the source in the store.
type documentsFile struct {
	Import string `yaml:"import"`
}

// Documents returns the texts that are kept in the store, sealed under keys, in the
// order of their developers.
type Documents func(ctx context.Context, keys *keyring.Ring) ([]Text, error)

// spellDevelopers writes the short form `developers: folder` out in full.
func spellDevelopers(root *yaml.Node) {
	if _, n := strictyaml.Find(root, "developers"); n != nil && n.Kind == yaml.ScalarNode {
		folder := *n
		*n = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: folder.Line, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Tag: "!!str", Value: "folder", Line: folder.Line}, &folder,
		}}
	}
}

func (r *daemonRules) developers() {
	f := &r.daemon.file.Developers
	_, folder := strictyaml.Find(r.root, "developers.folder")
	if f.Store == nil {
		r.Require("developers", f.Folder != "", "must name a folder")
		return
	}
	r.Require("developers", folder == nil, "has folder and store: choose one")
	f.Folder = ""
}

// errStored is the error of every reference in a document.
var errStored = errors.New("a document in the store holds no references, which would read what is the server's: write the value itself (`fantail developers import` does so for a folder)")

// texts returns the texts of the source that fantail.yaml names; documents is nil where the
// store is not at hand.
func (d *daemon) texts(ctx context.Context, folder []Text, keys *keyring.Ring, documents Documents) ([]Text, error) {
	if d.file.Developers.Store == nil {
		return folder, nil
	}
	if documents == nil {
		d.doc.Note(strictyaml.LineOf(d.doc.Root, "developers"), "developers: their documents are in the store, where the daemon alone sees them: fantail developers list")
		return nil, nil
	}
	if !d.doc.Sound() {
		return nil, nil // nothing was sealed with throw-away keys
	}
	texts, err := documents(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read the documents in the store: %w", err)
	}
	return texts, nil
}

// ReadFolder returns the texts of a folder of developers' files, one for each,
// called after them.
func ReadFolder(dir string) ([]Text, error) {
	d := &daemon{doc: &strictyaml.Document{File: "fantail.yaml"}}
	d.file.Developers.Folder = dir
	texts := d.readFolder()
	if faults := d.doc.Faults(); len(faults) > 0 {
		return nil, errors.New(faults[0].Message)
	}
	return texts, nil
}

// ReadDeveloper returns the text of one developer of a folder; the error is
// fs.ErrNotExist when they have no file.
func ReadDeveloper(dir, developer string) (Text, error) {
	if !event.ValidName(developer) {
		return Text{}, fs.ErrNotExist
	}
	for _, ext := range []string{".yaml", ".yml"} {
		raw, err := readFile(filepath.Join(dir, developer+ext), strictyaml.MaxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return Text{ID: developer, File: developer + ext, Raw: raw}, err
	}
	return Text{}, fs.ErrNotExist
}

// Lookup resolves references of a developer of texts, as binding does; beside is the folder of
// fantail.yaml.
func Lookup(beside string, texts []Text, developer string) strictyaml.Lookup {
	s := (&Daemon{Dir: beside}).secrets(texts)
	return func(r strictyaml.Reference) ([]byte, error) {
		value, _, err := s.find(developer, r)
		return value, err
	}
}
