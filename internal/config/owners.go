package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// ownedPrefix begins the names of the variables that developers' files may use.
const ownedPrefix = "FANTAIL_DEV_"

var asSpelled = strings.NewReplacer("-", "__", ".", "__", "_", "__")

// spelled is a developer's name as the names of their variables spell it. A character that is
// no letter or digit becomes two underscores, so that a single one can end the name: then no
// name is the beginning of another.
func spelled(developer string) string { return asSpelled.Replace(strings.ToUpper(developer)) }

// ownerOf returns the spelled name of the developer who owns the variable; "" if nobody does.
// It looks at the variable's name alone: a developer who comes later takes no variable from
// those who were there.
func ownerOf(variable string) string {
	rest, ok := strings.CutPrefix(variable, ownedPrefix)
	if !ok {
		return ""
	}
	for i := 0; i < len(rest); i++ {
		if rest[i] != '_' {
			continue
		}
		if i+1 == len(rest) || rest[i+1] != '_' {
			return rest[:i]
		}
		i++ // the second of two
	}
	return ""
}

// namesakes lists the developers by how variables spell their names.
type namesakes map[string][]string

// add enters a developer. Ids that differ in case only are refused elsewhere.
func (n namesakes) add(developer string) {
	s := spelled(developer)
	for _, other := range n[s] {
		if strings.EqualFold(other, developer) {
			return
		}
	}
	n[s] = append(n[s], developer)
}

// allow is nil when the variable belongs to the developer and to nobody else.
func (n namesakes) allow(developer, variable string) error {
	own := spelled(developer)
	switch {
	case ownerOf(variable) == own:
	case renamed(developer, variable) != "":
		return fmt.Errorf("environment variable %s is not this developer's, whose variables begin with %s (- . and _ of a developer's name are written __): call it %s, here and where it is set",
			variable, ownedPrefix+own+"_", renamed(developer, variable))
	default:
		return fmt.Errorf("environment variable %s is not this developer's: a developer's file may name only %s*", variable, ownedPrefix+own+"_")
	}
	same := n[own]
	if !slices.ContainsFunc(same, func(other string) bool { return strings.EqualFold(other, developer) }) {
		same = append(slices.Clip(same), developer) // who is new, and would be written as somebody else is
	}
	if len(same) > 1 {
		return fmt.Errorf("environment variable %s could be that of developers %s, whose names are written alike in variables: use files under secrets/%s/, or rename one of the developers",
			variable, strings.Join(same, " and "), developer)
	}
	return nil
}

// formerPrefix began a developer's variables when every character but letters
// and digits was one underscore.
func formerPrefix(developer string) string {
	return ownedPrefix + strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(developer)) + "_"
}

// renamed returns what a variable of the former form is called now, "" if it is
// not of that form.
func renamed(developer, variable string) string {
	rest, ok := strings.CutPrefix(variable, formerPrefix(developer))
	if rest = strings.TrimLeft(rest, "_"); !ok || rest == "" {
		return ""
	}
	return ownedPrefix + spelled(developer) + "_" + rest
}

// outdated names each variable that is set under a developer's former form of name, with its
// new name: under the old one it belongs to another developer now.
func (n namesakes) outdated() (notes []string) {
	former := map[string]string{}
	for _, developers := range n {
		for _, d := range developers {
			if formerPrefix(d) != ownedPrefix+spelled(d)+"_" {
				former[formerPrefix(d)] = d
			}
		}
	}
	if len(former) == 0 {
		return nil
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		for i := len(ownedPrefix); i < len(name) && strings.HasPrefix(name, ownedPrefix); i++ {
			d := former[name[:i+1]]
			if d == "" || ownerOf(name) == spelled(d) || renamed(d, name) == "" {
				continue
			}
			notes = append(notes, fmt.Sprintf("environment variable %s is called as those of developer %s were formerly: if it is theirs, call it %s, and let go of the old name, which may be another developer's",
				name, d, renamed(d, name)))
		}
	}
	return notes
}
