// Package samples carries realistic event bodies, at least one of most types,
// for demonstrations and tests.
package samples

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed payloads/*.json
var payloads embed.FS

// Names lists the samples in alphabetical order: mostly the type, with a word
// about what is special behind it.
func Names() []string {
	entries, err := payloads.ReadDir("payloads")
	if err != nil {
		return nil // cannot be: the folder is part of the binary
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".json")
	}
	return names
}

// Read returns a copy of the body of a sample, byte for byte.
func Read(name string) ([]byte, error) {
	body, err := payloads.ReadFile("payloads/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("read sample %q: %w", name, err)
	}
	return body, nil
}
