package clients

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// python makes a module of TypedDicts, as Python 3.9 knows them: without NotRequired, so that what may
// be left out stands in a class of its own.
func python(d description) string {
	p := &pythonTypes{}
	for _, s := range d.schemas {
		if own(s.node) {
			p.object(s.name, s.node)
		} else {
			p.alias(s.name, s.node)
		}
	}
	var names []string
	for _, name := range p.names {
		names = append(names, "    "+strconv.Quote(name)+",\n")
	}
	return `"""The daemon's answers and what it is asked, as it writes them.

` + made + `
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, TypedDict, Union

__all__ = [
` + strings.Join(names, "") + "]\n" + p.b.String()
}

func pythonAdvice(d description) string {
	var b strings.Builder
	b.WriteString("# " + made + "\n\nadvice = {\n")
	for _, a := range d.advice {
		fmt.Fprintf(&b, "    %s: %s,\n", strconv.Quote(a.name), strconv.Quote(a.node.Value))
	}
	return b.String() + "}\n"
}

type pythonTypes struct {
	b     strings.Builder
	names []string
}

func (p *pythonTypes) alias(name string, s *yaml.Node) {
	text := p.of(s, name)
	p.names = append(p.names, name)
	fmt.Fprintf(&p.b, "\n%s%s = %s\n", remark(s, "# "), name, text)
}

// keyword is a name that no member of a class can have.
func keyword(name string) bool {
	return !word.MatchString(name) || slices.Contains([]string{"class", "from", "global", "import", "in", "is", "not", "or", "and", "pass", "as", "def", "del", "for", "if"}, name)
}

// object writes a class, and before it those of the objects within.
func (p *pythonTypes) object(name string, s *yaml.Node) {
	must := required(s)
	var fields [2]strings.Builder // required, not required
	var bases [2][]string
	for _, m := range members(at(s, "properties")) {
		i := 1
		if must[m.name] {
			i = 0
		}
		text := p.of(m.node, name+title(m.name))
		if keyword(m.name) {
			base := "_" + name + title(m.name)
			bases[i] = append(bases[i], base)
			fmt.Fprintf(&p.b, "\n%s = TypedDict(%q, {%q: %q}, total=%s)\n", base, base, m.name, text, []string{"True", "False"}[i])
			continue
		}
		fmt.Fprintf(&fields[i], "%s    %s: %s\n", remark(m.node, "    # "), m.name, text)
	}
	p.names = append(p.names, name)
	document := ""
	if text := remark(s, "    "); text != "" {
		document = `    """` + strings.TrimSpace(text) + `"""` + "\n"
	}
	only, first := 0, ""
	if fields[0].Len() == 0 && len(bases[0]) == 0 {
		only = 1
	} else if fields[1].Len() > 0 || len(bases[1]) > 0 {
		first = "_" + name
		fmt.Fprintf(&p.b, "\n\nclass %s(%s):\n%s", first, strings.Join(or(bases[0], "TypedDict"), ", "), body("", fields[0].String()))
		only = 1
	}
	inherit := bases[only]
	if first != "" {
		inherit = append([]string{first}, inherit...)
	}
	total := ""
	if only == 1 {
		total = ", total=False"
	}
	fmt.Fprintf(&p.b, "\n\nclass %s(%s%s):\n%s", name, strings.Join(or(inherit, "TypedDict"), ", "), total, body(document, fields[only].String()))
}

func or(all []string, other string) []string {
	if len(all) == 0 {
		return []string{other}
	}
	return all
}

func body(document, fields string) string {
	switch {
	case document == "" && fields == "":
		return "    pass\n"
	case document != "" && fields != "":
		return document + "\n" + fields
	}
	return document + fields
}

// of is the type of a schema; name is that of an object within.
func (p *pythonTypes) of(s *yaml.Node, name string) string {
	if ref := at(s, "$ref"); ref != nil {
		return ref.Value[strings.LastIndex(ref.Value, "/")+1:]
	}
	if all := literals(s); len(all) > 0 {
		return "Literal[" + strings.NewReplacer("true", "True", "false", "False").Replace(strings.Join(all, ", ")) + "]"
	}
	var all []string
	for _, t := range types(s) {
		switch t {
		case "string":
			t = "str"
		case "integer":
			t = "int"
		case "number":
			t = "float"
		case "boolean":
			t = "bool"
		case "null":
			t = "None"
		case "array":
			t = "List[" + p.of(at(s, "items"), name+"Item") + "]"
		case "object":
			t = "Dict[str, Any]"
			if own(s) {
				p.object(name, s)
				t = name
			}
		}
		all = append(all, t)
	}
	switch len(all) {
	case 0:
		return "Any"
	case 1:
		return all[0]
	}
	return "Union[" + strings.Join(all, ", ") + "]"
}

// title is a member's name as a part of a class's.
func title(name string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '[' || r == ']' }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
