// Package strictyaml reads YAML files that people write by hand into typed settings. Whatever is
// doubtful is a fault. Every fault is reported at once, with its file and line. No message shows a
// value, which may be a secret. Secrets may stand elsewhere: ${env:NAME} and ${file:path} are
// references to them.
//
// A file goes through [Parse], then through [Binder.Bind] and [Binder.Resolve].
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// MaxFile is how many bytes a file may have.
const MaxFile = 1 << 20

const (
	maxDepth  = 32      // of nesting; the deepest setting lies at about 6
	maxNodes  = 200_000 // of one file, aliases written out
	maxFaults = 100     // reported of one file
)

// Document is one file of settings as a tree without aliases, and what is wrong with it.
type Document struct {
	File  string
	Root  *yaml.Node // a mapping; nil when the text is not YAML
	Notes []Fault    // what is allowed but deserves to be said

	faults []Fault
	full   bool
}

// Fault adds something that is wrong; line is from 1, or 0 for the whole file.
func (d *Document) Fault(line int, format string, args ...any) {
	if len(d.faults) == maxFaults {
		d.full = true
		return
	}
	d.faults = append(d.faults, Fault{d.File, line, fmt.Sprintf(format, args...)})
}

// Note adds something that is allowed.
func (d *Document) Note(line int, message string) {
	d.Notes = append(d.Notes, Fault{d.File, line, message})
}

// Sound tells whether nothing is wrong so far.
func (d *Document) Sound() bool { return len(d.faults) == 0 }

// Full tells whether there are more faults than are kept: code that only looks for more may stop.
func (d *Document) Full() bool { return d.full }

// Faults returns what is wrong in the order of the lines: at most 100 faults and, where there are
// more, a last one that says so.
func (d *Document) Faults() []Fault {
	fs := Sort(d.faults)
	if d.full {
		fs = append(fs, Fault{d.File, fs[len(fs)-1].Line, "and more faults: mend these first"})
	}
	return fs
}

// begin makes the document of a text, and tells whether the text can be read.
func begin(file string, raw []byte) (d *Document, readable bool) {
	d = &Document{File: file}
	switch {
	case len(raw) > MaxFile:
		d.Fault(1, "the file is larger than 1 MiB: split it")
	case !utf8.Valid(raw):
		d.Fault(lineOfInvalid(raw), "the text is not UTF-8: save the file as UTF-8")
	default:
		readable = true
	}
	return d, readable
}

// Parse reads the text of one file, which messages call file. Whatever the text,
// it costs time and memory in proportion to MaxFile.
func Parse(file string, raw []byte) *Document {
	d, readable := begin(file, raw)
	if !readable {
		return d
	}
	loader, err := yaml.NewLoader(bytes.NewReader(raw), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		d.Fault(1, "prepare the YAML reader: %v", err)
		return d
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		d.Root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
		return d
	case err != nil:
		d.syntax(err, raw)
		return d
	}
	switch err := loader.Load(&second); {
	case err == nil:
		d.Fault(max(second.Line, 1), "a second document begins here: write one document per file, without ---")
	case !errors.Is(err, io.EOF):
		d.syntax(err, raw)
	}
	root := first.Content[0]
	if isNull(root) {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
	}
	if root.Kind != yaml.MappingNode {
		d.Fault(max(root.Line, 1), "the file must be a mapping of keys to values")
		return d
	}
	d.Root = root
	c := &cleaner{doc: d, open: map[*yaml.Node]bool{}, left: maxNodes}
	if c.clean(root, 0); c.full {
		d.Root = nil // aliases are left in it
	}
	return d
}

// syntax adds what the YAML reader found, without the parts of its messages that quote the text: a
// secret that begins with * reads as an alias.
func (d *Document) syntax(err error, raw []byte) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		d.Fault(1, "the text is not YAML")
		return
	}
	msg, line := load.Message, max(load.Mark.Line, load.ContextMark.Line, 1)
	open := openQuote(raw)
	switch {
	case open > 0 && open <= line:
		// The reader takes the next quote, some lines below, for the end, and reports that place.
		msg, line = "a text that begins with a quote here has none at its end", open
	case strings.HasPrefix(msg, "unknown anchor"):
		msg = "an alias (*name) has no anchor (&name) before it: put quotes around a text that begins with *"
	case strings.Contains(msg, "not allowed in a YAML tag"):
		msg = "a tag is not well formed: put quotes around a text that begins with !"
	case strings.Contains(msg, "max depth"):
		msg = fmt.Sprintf("the text is nested deeper than %d levels", maxDepth)
	case strings.Contains(msg, "could not find expected ':'"):
		// The reader goes on to the next token, which may lie far below.
		msg, line = "a key needs a colon and a space after it", max(load.ContextMark.Line, 1)
	case strings.Contains(msg, "mapping values are not allowed"):
		msg = "a key cannot stand here: is a line above without a space after its colon, a text with \": \" in it without quotes, or the indentation wrong?"
	case strings.Contains(msg, "unexpected end of stream"):
		msg, line = "a text that begins with a quote here has none at its end", max(load.ContextMark.Line, 1)
	case strings.Contains(msg, "cannot start any token"):
		msg = "indent with spaces, not with tabs, and put quotes around a text that begins with @, % or `"
	case load.ContextMsg != "":
		msg = load.ContextMsg + ": " + msg
	}
	d.Fault(line, "not YAML: %s", msg)
}

func lineOfInvalid(raw []byte) int {
	line := 1
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		raw = raw[n:]
	}
	return line
}
