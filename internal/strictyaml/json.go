package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// ParseJSON is Parse for a text in JSON. Most of JSON is YAML, but not all: YAML reads escapes of
// surrogates otherwise, and tabs are faults.
func ParseJSON(file string, raw []byte) *Document {
	d, readable := begin(file, raw)
	if !readable {
		return d
	}
	r := &jsonReader{raw: raw, dec: json.NewDecoder(bytes.NewReader(raw))}
	r.dec.UseNumber()
	root, err := r.value(0)
	if err == nil {
		if _, more := r.dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the end of the object")
		}
	}
	switch {
	case errors.Is(err, errDeep):
		d.Fault(r.line(), "the text is nested deeper than %d levels", maxDepth)
		return d
	case err != nil:
		d.Fault(r.line(), "not JSON") // the error could quote the text
		return d
	case root.Kind != yaml.MappingNode:
		d.Fault(1, "the file must be a mapping of keys to values")
		return d
	}
	d.Root = root
	c := &cleaner{doc: d, open: map[*yaml.Node]bool{}, left: maxNodes}
	if c.clean(root, 0); c.full {
		d.Root = nil
	}
	return d
}

var errDeep = errors.New("nested too deeply")

type jsonReader struct {
	raw   []byte
	dec   *json.Decoder
	at    int64 // up to where lines were counted
	lines int
}

// line is where the reader is, from 1.
func (r *jsonReader) line() int {
	at := min(r.dec.InputOffset(), int64(len(r.raw)))
	r.lines += bytes.Count(r.raw[r.at:at], []byte{'\n'})
	r.at = at
	return r.lines + 1
}

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	return r.node(token, depth)
}

func (r *jsonReader) node(token json.Token, depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line()}
	switch v := token.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if v == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for r.dec.More() {
			child, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err := r.dec.Token() // its end
		return n, err
	case string:
		n.Tag, n.Value, n.Style = "!!str", v, yaml.DoubleQuotedStyle
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", "false"
		if v {
			n.Value = "true"
		}
	default:
		n.Tag, n.Value = nullTag, "null"
	}
	return n, nil
}

// AppendJSON appends a tree without aliases, as Parse makes it, as JSON. Keys keep their order. A
// YAML value that JSON has no form for becomes a text.
func AppendJSON(b []byte, n *yaml.Node) []byte {
	switch n.Kind {
	case yaml.MappingNode:
		b = append(b, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, n.Content[i].Value), ':')
			b = AppendJSON(b, n.Content[i+1])
		}
		return append(b, '}')
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, e := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendJSON(b, e)
		}
		return append(b, ']')
	}
	switch tag := n.ShortTag(); {
	case tag == nullTag:
		return append(b, "null"...)
	case (tag == "!!int" || tag == "!!float" || tag == "!!bool") && json.Valid([]byte(n.Value)):
		return append(b, n.Value...)
	}
	return appendText(b, n.Value)
}

func appendText(b []byte, text string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text always has a form
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte{'\n'})...)
}

// Literal writes a text as the literal value of a secret: it reads as itself,
// whatever stands in it.
func Literal(text string) string { return strings.ReplaceAll(text, "${", "$${") }
