package strictyaml

import (
	"regexp"

	"go.yaml.in/yaml/v4"
)

const (
	nullTag  = "!!null"
	mergeTag = "!!merge"
)

// cleaner makes a tree of nodes plain. It replaces aliases by copies of what they stand for. What
// YAML allows and settings do not (tags, merge keys, repeated keys, keys without a value) is a
// fault. Later code need not think of any of these.
type cleaner struct {
	doc  *Document
	open map[*yaml.Node]bool // the nodes that the present one lies in
	left int                 // nodes that may still come
	full bool
}

func (c *cleaner) clean(n *yaml.Node, depth int) {
	if !c.count(n) {
		return
	}
	if depth > maxDepth {
		c.doc.Fault(n.Line, "the text is nested deeper than %d levels", maxDepth)
		n.Content = nil
		return
	}
	c.open[n] = true
	defer delete(c.open, n)
	if n.Style&yaml.TaggedStyle != 0 || n.Tag == "!" {
		c.doc.Fault(n.Line, "tags (!name) are not supported: put quotes around a text that begins with !")
		n.Style, n.Tag = n.Style&^yaml.TaggedStyle, plainTag(n.Kind)
	}
	if n.Kind == yaml.MappingNode {
		c.keys(n)
	}
	for i, child := range n.Content {
		if child.Kind == yaml.AliasNode {
			child = c.resolve(child)
			n.Content[i] = child
		}
		if n.Kind == yaml.MappingNode && i%2 == 1 && isNull(child) {
			c.doc.Fault(n.Content[i-1].Line, "%s has no value: write one or remove the key", QuoteKey(n.Content[i-1].Value))
		}
		if n.Kind == yaml.SequenceNode && isNull(child) {
			c.doc.Fault(child.Line, "an entry of a list is empty: write its value or remove it")
		}
		c.clean(child, depth+1)
	}
}

// keys drops the pairs that later code could make no sense of.
func (c *cleaner) keys(n *yaml.Node) {
	seen := make(map[string]int, len(n.Content)/2)
	kept := n.Content[:0]
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == mergeTag:
			c.doc.Fault(key.Line, "merge keys (<<) are not supported: write the keys out")
			continue
		case key.Kind != yaml.ScalarNode:
			c.doc.Fault(key.Line, "a key must be a plain text: put quotes around a text that begins with {, [ or *")
			continue
		case n.Style&yaml.FlowStyle != 0 && isNull(n.Content[i+1]):
			c.doc.Fault(key.Line, "a key in {} has no value: put quotes around a text that begins with {") // unnamed: it may be a secret
			continue
		case seen[key.Value] > 0:
			c.doc.Fault(key.Line, "%s is there twice: line %d has it already; remove one", QuoteKey(key.Value), seen[key.Value])
			continue
		}
		seen[key.Value] = key.Line
		kept = append(kept, key, n.Content[i+1])
	}
	n.Content = kept
}

// resolve returns a copy of what an alias stands for. The target lies before the alias in the file,
// so that it is clean already, unless it contains the alias.
func (c *cleaner) resolve(alias *yaml.Node) *yaml.Node {
	if c.open[alias.Alias] {
		c.doc.Fault(alias.Line, "an alias stands for what it lies in")
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Line: alias.Line}
	}
	return c.copy(alias.Alias)
}

func (c *cleaner) copy(n *yaml.Node) *yaml.Node {
	dup := *n
	dup.Anchor, dup.Content = "", nil
	for _, child := range n.Content {
		if !c.count(n) {
			break
		}
		dup.Content = append(dup.Content, c.copy(child))
	}
	return &dup
}

// count is false once the tree has grown too large.
func (c *cleaner) count(n *yaml.Node) bool {
	if c.left--; c.left >= 0 {
		return true
	}
	if !c.full {
		c.full = true
		c.doc.Fault(n.Line, "the file comes to more than %d values, aliases written out: split it", maxNodes)
	}
	return false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag }

func plainTag(k yaml.Kind) string {
	switch k {
	case yaml.MappingNode:
		return "!!map"
	case yaml.SequenceNode:
		return "!!seq"
	}
	return "!!str"
}

var keyLike = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,39}$`)

// QuoteKey names a key of a file in a message. A key that does not look like one may be a secret in the wrong place.
func QuoteKey(key string) string {
	if keyLike.MatchString(key) {
		return key
	}
	return "a key"
}
