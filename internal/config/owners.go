package config

import (
	"fmt"
	"strings"
)

// envOwners says whose an environment variable is: that of the developer with
// the longest prefix that it begins with. FANTAIL_DEV_A_B_SECRET would else
// belong to developer a as well as to a-b.
type envOwners map[string][]string // prefix -> developers

func (o envOwners) add(developer string) {
	p := envPrefix(developer)
	o[p] = append(o[p], developer)
}

// envPrefix is what the names of a developer's variables begin with.
func envPrefix(developer string) string {
	return "FANTAIL_DEV_" + strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(developer)) + "_"
}

// allow is nil when the variable belongs to the developer and to nobody else.
func (o envOwners) allow(developer, name string) error {
	own := envPrefix(developer)
	if !strings.HasPrefix(name, own) {
		return fmt.Errorf("environment variable %s is not this developer's: a developer's file may name only %s*", name, own)
	}
	if len(o[own]) > 1 {
		return fmt.Errorf("environment variable %s could be that of developers %s, which share the prefix %s: use files under secrets/%s/, or rename one",
			name, strings.Join(o[own], " and "), own, developer)
	}
	for i := len(own); i < len(name); i++ {
		if name[i] == '_' && len(o[name[:i+1]]) > 0 {
			return fmt.Errorf("environment variable %s belongs to developer %s, whose variables begin with %s: choose another name",
				name, strings.Join(o[name[:i+1]], " and "), name[:i+1])
		}
	}
	return nil
}
