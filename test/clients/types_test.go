package clients

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write the types of the clients")

const made = "Made of internal/api/openapi.yaml and clients/advice.yaml by `go test ./test/clients -run Types -update`: change those."

// TestTheTypesAreThoseOfTheDescription: what is committed is what openapi.yaml gives.
func TestTheTypesAreThoseOfTheDescription(t *testing.T) {
	d := describe(t)
	for path, text := range map[string]string{
		"../../clients/typescript/src/types.ts":       typescript(d),
		"../../clients/python/src/fantail/types.py":   python(d),
		"../../clients/python/src/fantail/_advice.py": pythonAdvice(d),
	} {
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, []byte(text)) {
			t.Errorf("%s is not what openapi.yaml gives (%v): go test ./test/clients -run Types -update", path, err)
		}
	}
}

// TestAdviceIsAboutCodesThatExist: each is a status, one of the daemon's codes, or one of the clients' own.
func TestAdviceIsAboutCodesThatExist(t *testing.T) {
	var source []byte
	for _, pattern := range []string{"../../internal/*/*.go", "../../clients/typescript/src/http.ts"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source = append(source, text...)
		}
	}
	for _, a := range describe(t).advice {
		if _, err := strconv.Atoi(a.name); err != nil && !bytes.Contains(source, []byte(strconv.Quote(a.name))) {
			t.Errorf("no code is called %s", a.name)
		}
	}
}

// description is what the clients' types are made of, in the order of the file.
type description struct {
	schemas []named // components, then what operations have of their own
	advice  []named
}

type named struct {
	name string
	node *yaml.Node
}

// describe reads openapi.yaml. What an operation asks and answers without a name gets one of its operationId.
func describe(t *testing.T) description {
	t.Helper()
	root := load(t, "../../internal/api/openapi.yaml")
	d := description{schemas: members(at(root, "components", "schemas")), advice: members(load(t, "../../clients/advice.yaml"))}
	for _, path := range members(at(root, "paths")) {
		for _, method := range members(path.node) {
			id := at(method.node, "operationId")
			if id == nil {
				continue
			}
			name := strings.ToUpper(id.Value[:1]) + id.Value[1:]
			query := &yaml.Node{Kind: yaml.MappingNode}
			for _, p := range items(at(method.node, "parameters")) {
				if ref := at(p, "$ref"); ref != nil {
					p = at(root, strings.Split(strings.TrimPrefix(ref.Value, "#/"), "/")...)
				}
				if at(p, "in").Value == "query" && at(p, "name").Value != "cursor" {
					query.Content = append(query.Content, at(p, "name"), described(at(p, "schema"), at(p, "description")))
				}
			}
			if len(query.Content) > 0 {
				d.schemas = append(d.schemas, named{name + "Query", object(query)})
			}
			if s := at(method.node, "requestBody", "content", "application/json", "schema"); own(s) {
				d.schemas = append(d.schemas, named{name + "Request", s})
			}
			for _, status := range []string{"200", "201", "202"} {
				if s := at(method.node, "responses", status, "content", "application/json", "schema"); own(s) && (at(s, "properties", "next") == nil || id.Value == "listEventTypes") {
					d.schemas = append(d.schemas, named{name + "Answer", s})
				}
			}
		}
	}
	return d
}

// own tells whether a schema is an object without a name of its own.
func own(s *yaml.Node) bool { return at(s, "properties") != nil }

func object(properties *yaml.Node) *yaml.Node {
	text := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("type"), text("object"), text("properties"), properties}}
}

// described is a schema with the description of the parameter that has it.
func described(schema, description *yaml.Node) *yaml.Node {
	if description == nil {
		return schema
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Value: "description"}
	return &yaml.Node{Kind: yaml.MappingNode, Content: append([]*yaml.Node{key, description}, schema.Content...)}
}

func load(t *testing.T, path string) *yaml.Node {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	return root.Content[0]
}

// at follows names through mappings; nil where one is missing.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		var found *yaml.Node
		for _, m := range members(n) {
			if m.name == name {
				found = m.node
				break
			}
		}
		n = found
	}
	return n
}

func members(n *yaml.Node) (all []named) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		all = append(all, named{n.Content[i].Value, value})
	}
	return all
}

func items(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	return n.Content
}

// required tells which members of an object are never left out.
func required(s *yaml.Node) map[string]bool {
	all := map[string]bool{}
	for _, n := range items(at(s, "required")) {
		all[n.Value] = true
	}
	return all
}

// types lists the types of a schema: one, or several of which null is one.
func types(s *yaml.Node) []string {
	t := at(s, "type")
	switch {
	case t == nil:
		return nil
	case t.Kind == yaml.SequenceNode:
		var all []string
		for _, n := range t.Content {
			all = append(all, n.Value)
		}
		return all
	}
	return []string{t.Value}
}

// literals are the values of an enum or const, as JSON.
func literals(s *yaml.Node) (all []string) {
	for _, n := range append(items(at(s, "enum")), at(s, "const")) {
		if n == nil {
			continue
		}
		if n.Tag == "!!bool" {
			all = append(all, n.Value)
		} else {
			all = append(all, strconv.Quote(n.Value))
		}
	}
	return all
}

// remark wraps a description, each line behind prefix.
func remark(s *yaml.Node, prefix string) string {
	text := at(s, "description")
	if text == nil {
		return ""
	}
	var b, line strings.Builder
	for _, word := range strings.Fields(strings.ReplaceAll(text.Value, "*/", "* /")) {
		if line.Len() > 0 && len(prefix)+line.Len()+1+len(word) > 130 {
			b.WriteString(prefix + line.String() + "\n")
			line.Reset()
		}
		if line.Len() > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(word)
	}
	return b.String() + prefix + line.String() + "\n"
}
