package strictyaml

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// LineOf returns the line, from 1, of the node that path names (limits.per_developer.rate,
// tokens[0].may). If that is not there, it is the line of the deepest part that is.
func LineOf(n *yaml.Node, path string) int {
	line, _ := Find(n, path)
	return line
}

// Find is LineOf which also returns the node, nil when it is not there.
func Find(n *yaml.Node, path string) (line int, found *yaml.Node) {
	line = 1
	if n == nil {
		return line, nil
	}
	line = max(n.Line, 1)
	for path != "" {
		step, rest := path, ""
		if i := strings.IndexAny(path[1:], ".["); i >= 0 {
			step, rest = path[:i+1], path[i+1:]
		}
		var key *yaml.Node
		key, n = Child(n, strings.Trim(step, ".[]\""))
		if n == nil && strings.HasPrefix(path, ".") && !strings.ContainsAny(path[1:], "[]") {
			key, n = Child(n, path[1:]) // a key with dots in it
			rest = ""
		}
		if n == nil {
			return line, nil
		}
		line, path = max(key.Line, 1), rest
	}
	return line, n
}

// Child returns the entry of a mapping or sequence and the node whose line is shown for it.
func Child(n *yaml.Node, step string) (key, value *yaml.Node) {
	if n == nil {
		return nil, nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
	}
	return nil, nil
}

// Join returns the path of a key of the mapping at path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Index returns the path of the entry i of the list at path.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// eachChild calls f for each child of n, which lies at path, with the child's own path.
func eachChild(n *yaml.Node, path string, f func(path string, n *yaml.Node)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			f(Join(path, QuoteKey(n.Content[i].Value)), n.Content[i+1])
		}
	case yaml.SequenceNode:
		for i, e := range n.Content {
			f(Index(path, i), e)
		}
	}
}
