package api

import (
	"fmt"
	"strings"
)

// What a Step does.
const (
	StepAdd    = "add"
	StepChange = "change"
	StepRemove = "remove"
)

// Step is one thing that a change of settings does. It holds no value of them.
type Step struct {
	Do           string   `json:"do"`
	Developer    string   `json:"developer"`
	Destination  string   `json:"destination,omitempty"`  // "": the developer, with all their destinations
	Keys         []string `json:"keys,omitempty"`         // that change
	Destinations int      `json:"destinations,omitempty"` // of a developer
	Pending      int64    `json:"pending,omitempty"`      // deliveries, of what is removed
}

// String is one line: + acme/new, ~ globex/hooks (url), - umbrella (3 destinations, 39 pending).
func (s Step) String() string {
	name := s.Developer
	if s.Destination != "" {
		name += "/" + s.Destination
	}
	var more []string
	switch s.Do {
	case StepAdd:
		name = "+ " + name
	case StepChange:
		name, more = "~ "+name, s.Keys
	default:
		name = "- " + name
	}
	if s.Destinations > 0 {
		more = append(more, fmt.Sprintf("%d destination%s", s.Destinations, plural(s.Destinations)))
	}
	if s.Pending > 0 {
		more = append(more, fmt.Sprintf("%d pending", s.Pending))
	}
	if len(more) == 0 {
		return name
	}
	return name + " (" + strings.Join(more, ", ") + ")"
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// Removal is the error of a change that removes more than one may mean, and was
// not said to be meant. Nothing has changed.
type Removal struct {
	What string // "12 of 40 developers"
	Plan []Step
}

func (r *Removal) Error() string {
	return "the change would remove " + r.What + ", and nothing was changed: if that is meant, say so with --allow-removal (allow_removal=1 in the API)"
}

// ReloadOptions say how the settings are read again.
type ReloadOptions struct {
	DryRun       bool // say what it would do, and change nothing
	AllowRemoval bool // also if it removes much
	Follows      bool // another daemon did it first, and has noted who wanted it
}

// Reloaded is what came of it.
type Reloaded struct {
	Plan    []Step
	Notes   []string // what is allowed in the settings, and deserves to be said
	Waiting []string // settings that wait for the next start
}
