// Package document is the text of a developer's settings as programs and people exchange it
// with the daemon. It reads YAML or JSON and writes either. It takes secrets out, and puts them
// back unless another setting would lead them elsewhere. Package config says what the text means.
//
// A document is a tree without comments, aliases and styles. A comment may hold a secret, and
// nothing would take that out.
package document

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
)

// Read reads a text, which messages call file, as JSON or as YAML. The faults of the Document
// say what is wrong; its Root is nil if nothing could be read.
func Read(file string, raw []byte, isJSON bool) *strictyaml.Document {
	if isJSON {
		return strictyaml.ParseJSON(file, raw)
	}
	return strictyaml.Parse(file, raw)
}

// New returns the document of a developer without destinations.
func New(developer string) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{
		text("developer"), text(developer), text("destinations"), {Kind: yaml.SequenceNode, Tag: "!!seq"},
	}}
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// YAML writes a document. Read gives an equal one again.
func YAML(root *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	d, err := yaml.NewDumper(&b, yaml.WithIndent(2))
	if err == nil {
		err = d.Dump(clone(root, plain))
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("write a document: %w", bare(err))
	}
	return b.Bytes(), nil
}

// bare drops the text of an error, which could quote a value.
func bare(err error) error { return fmt.Errorf("it cannot be written as YAML (%T)", err) }

// JSON writes a document on one line.
func JSON(root *yaml.Node) []byte { return append(strictyaml.AppendJSON(nil, root), '\n') }

// plain leaves the form of a value to the writer, except for texts of several lines, which
// mostly are certificates and keys. A time is a text, as it is in JSON.
func plain(n *yaml.Node) {
	n.Style = 0
	if n.ShortTag() == "!!timestamp" {
		n.Tag = "!!str"
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
}

// clone copies a tree and calls change for each node of the copy.
func clone(n *yaml.Node, change func(*yaml.Node)) *yaml.Node {
	c := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style, Line: n.Line, Column: n.Column}
	for _, child := range n.Content {
		c.Content = append(c.Content, clone(child, change))
	}
	change(c)
	return c
}

// Destinations returns the list of a document's destinations, nil if it has no readable list.
func Destinations(root *yaml.Node) []*yaml.Node {
	if list := listOf(root); list != nil {
		return list.Content
	}
	return nil
}

func listOf(root *yaml.Node) *yaml.Node {
	_, list := strictyaml.Child(root, "destinations")
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	return list
}

// Destination returns the entry of that name, nil if there is none.
func Destination(root *yaml.Node, name string) *yaml.Node {
	for _, entry := range Destinations(root) {
		if nameOf(entry) == name {
			return entry
		}
	}
	return nil
}

// Developer returns the name of the developer in a document, "" for none.
func Developer(root *yaml.Node) string { return valueOf(root, "developer") }

// Name returns the name that an entry has, "" for none.
func Name(entry *yaml.Node) string { return nameOf(entry) }

// SetName puts a name first in an entry.
func SetName(entry *yaml.Node, name string) {
	remove(entry, "name")
	entry.Content = append([]*yaml.Node{text("name"), text(name)}, entry.Content...)
}

func nameOf(entry *yaml.Node) string { return valueOf(entry, "name") }

func valueOf(n *yaml.Node, key string) string {
	if _, v := strictyaml.Child(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// Put replaces the entry of that name, or adds it at the end. It changes root, which must be
// the caller's own.
func Put(root *yaml.Node, name string, entry *yaml.Node) {
	list := listOf(root)
	if list == nil {
		remove(root, "destinations")
		list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		root.Content = append(root.Content, text("destinations"), list)
	}
	for i, old := range list.Content {
		if nameOf(old) == name {
			list.Content[i] = entry
			return
		}
	}
	list.Content = append(list.Content, entry)
}

// Remove takes the entry of that name out; false if there is none.
func Remove(root *yaml.Node, name string) bool {
	list := listOf(root)
	if list == nil {
		return false
	}
	before := len(list.Content)
	list.Content = slices.DeleteFunc(list.Content, func(n *yaml.Node) bool { return nameOf(n) == name })
	return len(list.Content) < before
}

// set sets a key of a mapping to a text.
func set(n *yaml.Node, key, value string) {
	if _, old := strictyaml.Child(n, key); old != nil {
		*old = *text(value)
		return
	}
	n.Content = append(n.Content, text(key), text(value))
}

// remove takes a key out of a mapping.
func remove(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}
