package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// section is a heading of CHANGELOG.md: "## Unreleased", or a version with its day.
var section = regexp.MustCompile(`(?m)^## (?:Unreleased|(v\S+) - (\d{4}-\d{2}-\d{2}))$`)

// notes are the part of the changelog that is about this version.
func (r *release) notes() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(r.source, "CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	found := section.FindAllSubmatchIndex(text, -1)
	for i, m := range found {
		if m[2] < 0 || string(text[m[2]:m[3]]) != r.version {
			continue
		}
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		return []byte("# Fantail " + r.version + "\n\n" + strings.TrimSpace(string(text[m[1]:end])) + "\n"), nil
	}
	return nil, fmt.Errorf("CHANGELOG.md has no heading %q: rename \"## Unreleased\", with the day, and begin a new one above it", "## "+r.version+" - YYYY-MM-DD")
}
