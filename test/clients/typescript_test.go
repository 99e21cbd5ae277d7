package clients

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// typescript makes a module of types.
func typescript(d description) string {
	var b strings.Builder
	b.WriteString("// " + made + "\n")
	for _, s := range d.schemas {
		b.WriteString("\n" + comment(s.node, ""))
		if own(s.node) {
			fmt.Fprintf(&b, "export interface %s %s\n", s.name, tsObject(s.node, ""))
		} else {
			fmt.Fprintf(&b, "export type %s = %s;\n", s.name, ts(s.node, ""))
		}
	}
	b.WriteString("\n/** What to do about an error, by its code or status. */\nexport const advice: Readonly<Record<string, string>> = {\n")
	for _, a := range d.advice {
		fmt.Fprintf(&b, "  %s: %s,\n", strconv.Quote(a.name), strconv.Quote(a.node.Value))
	}
	return b.String() + "};\n"
}

func comment(s *yaml.Node, indent string) string {
	text := remark(s, indent+" * ")
	switch strings.Count(text, "\n") {
	case 0:
		return ""
	case 1:
		return indent + "/** " + strings.TrimSpace(strings.TrimPrefix(text, indent+" * ")) + " */\n"
	}
	return indent + "/**\n" + text + indent + " */\n"
}

var word = regexp.MustCompile(`^[A-Za-z_]\w*$`)

func tsObject(s *yaml.Node, indent string) string {
	var b strings.Builder
	b.WriteString("{\n")
	must := required(s)
	for _, p := range members(at(s, "properties")) {
		name := p.name
		if !word.MatchString(name) {
			name = strconv.Quote(name)
		}
		if !must[p.name] {
			name += "?"
		}
		fmt.Fprintf(&b, "%s%s  %s: %s;\n", comment(p.node, indent+"  "), indent, name, ts(p.node, indent+"  "))
	}
	if more := at(s, "additionalProperties"); more != nil && more.Value == "true" {
		fmt.Fprintf(&b, "%s  [member: string]: unknown;\n", indent)
	}
	return b.String() + indent + "}"
}

// ts is the type of a schema.
func ts(s *yaml.Node, indent string) string {
	if ref := at(s, "$ref"); ref != nil {
		return ref.Value[strings.LastIndex(ref.Value, "/")+1:]
	}
	if all := literals(s); len(all) > 0 {
		return strings.Join(all, " | ")
	}
	var all []string
	for _, t := range types(s) {
		switch t {
		case "integer", "number":
			t = "number"
		case "array":
			t = ts(at(s, "items"), indent)
			if strings.Contains(t, " | ") {
				t = "(" + t + ")"
			}
			t += "[]"
		case "object":
			t = "Record<string, unknown>"
			if own(s) {
				t = tsObject(s, indent)
			}
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		return "unknown"
	}
	return strings.Join(all, " | ")
}
