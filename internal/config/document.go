package config

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

const (
	maxFile   = 1 << 20 // bytes of one file of settings
	maxDepth  = 32      // of nesting; the deepest setting lies at about 6
	maxNodes  = 200_000 // of one file, aliases written out
	maxFaults = 100     // reported of one file
)

// document is one file of settings as a tree without aliases, and what is wrong with it.
type document struct {
	file   string
	root   *yaml.Node // a mapping; nil when the text is not YAML
	faults []Fault
	notes  []Fault // what is allowed but deserves to be said
	full   bool    // there are more faults than are kept: what would only find more may stop
}

// fault notes something that is wrong.
func (d *document) fault(line int, format string, args ...any) {
	if len(d.faults) == maxFaults {
		d.full = true
		return
	}
	d.faults = append(d.faults, Fault{d.file, line, fmt.Sprintf(format, args...)})
}

// note is about something that is allowed, in the value at path.
func (d *document) note(line int, path, message string) {
	if len(d.notes) < maxFaults {
		d.notes = append(d.notes, Fault{d.file, max(line, 1), path + ": " + message})
	}
}

// done returns the faults in the order of the lines.
func (d *document) done() []Fault {
	fs := sortFaults(d.faults)
	if d.full {
		fs = append(fs, Fault{d.file, fs[len(fs)-1].Line, "and more faults: mend these first"})
	}
	return fs
}

// parseDocument reads the text of one file. Whatever the text, it costs time
// and memory in proportion to maxFile.
func parseDocument(file string, raw []byte) *document {
	d := &document{file: file}
	if len(raw) > maxFile {
		d.fault(1, "the file is larger than 1 MiB: split it")
		return d
	}
	if !utf8.Valid(raw) {
		d.fault(lineOfInvalid(raw), "the text is not UTF-8: save the file as UTF-8")
		return d
	}
	loader, err := yaml.NewLoader(bytes.NewReader(raw), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		d.fault(1, "prepare the YAML reader: %v", err)
		return d
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		d.root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
		return d
	case err != nil:
		d.syntax(err, raw)
		return d
	}
	switch err := loader.Load(&second); {
	case err == nil:
		d.fault(max(second.Line, 1), "a second document begins here: write one document per file, without ---")
	case !errors.Is(err, io.EOF):
		d.syntax(err, raw)
	}
	root := first.Content[0]
	if isNull(root) {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
	}
	if root.Kind != yaml.MappingNode {
		d.fault(max(root.Line, 1), "the file must be a mapping of keys to values")
		return d
	}
	d.root = root
	c := &cleaner{doc: d, open: map[*yaml.Node]bool{}, left: maxNodes}
	if c.clean(root, 0); c.full {
		d.root = nil // aliases are left in it
	}
	return d
}

// syntax notes what the YAML reader found, without the parts of its messages
// that quote the text: a secret that begins with * reads as an alias.
func (d *document) syntax(err error, raw []byte) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		d.fault(1, "the text is not YAML")
		return
	}
	msg, line := load.Message, max(load.Mark.Line, load.ContextMark.Line, 1)
	open := openQuote(raw)
	switch {
	case open > 0 && open <= line:
		// The reader takes the next quote, lines below, for its end, and stumbles there.
		msg, line = "a text that begins with a quote here has none at its end", open
	case strings.HasPrefix(msg, "unknown anchor"):
		msg = "an alias (*name) has no anchor (&name) before it: put quotes around a text that begins with *"
	case strings.Contains(msg, "not allowed in a YAML tag"):
		msg = "a tag is not well formed: put quotes around a text that begins with !"
	case strings.Contains(msg, "max depth"):
		msg = fmt.Sprintf("the text is nested deeper than %d levels", maxDepth)
	case strings.Contains(msg, "could not find expected ':'"):
		// The reader goes on until the next token, which may lie far below.
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
	d.fault(line, "not YAML: %s", msg)
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
