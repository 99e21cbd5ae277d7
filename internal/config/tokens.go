package config

import (
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
	"github.com/seed-51f8da91/fantail/internal/suggest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	minToken  = 16 // characters of a token's value
	maxTokens = 1000
)

var scopes = []string{"ingest", "read", "operate", "configure", "link"}

// tokens checks the bearer tokens of the API.
func (r *daemonRules) tokens() {
	if !r.Shape("tokens") {
		return
	}
	all := r.daemon.file.Tokens
	if len(all) > maxTokens {
		r.At("tokens", "has more than %d entries", maxTokens)
		return
	}
	for i, t := range all {
		at := func(key string) string { return strictyaml.Index("tokens", i) + "." + key }
		r.Require(at("name"), event.ValidName(t.Name), nameRule)
		r.Require(at("name"), !slices.ContainsFunc(all[:i], func(o tokenFile) bool { return o.Name == t.Name }), "another token has this name: names tell tokens apart in the log")
		switch value := t.Value.Reveal(); {
		case len(value) < minToken:
			r.Require(at("value"), false, "must have at least 16 characters: make one with `openssl rand -hex 24`")
		case strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' }):
			r.Require(at("value"), false, "must be visible ASCII without spaces: it stands in a header")
		default:
			r.Require(at("value"), !slices.ContainsFunc(all[:i], func(o tokenFile) bool { return o.Value.Reveal() == value }), "another token has this value: nobody could tell which one is used")
		}
		r.Require(at("may"), len(t.May) > 0, "must list what the token may do: "+strings.Join(scopes, ", "))
		for j, may := range t.May {
			if !slices.Contains(scopes, may) {
				r.At(strictyaml.Index(at("may"), j), "is no right: %s", suggest.Any(may, scopes))
			} else if slices.Contains(t.May[:j], may) {
				r.At(strictyaml.Index(at("may"), j), "is there twice: remove one")
			}
		}
		r.Require(at("developers"), t.Developers == nil || len(t.Developers) > 0, "is empty: leave it out for all developers")
		for j, id := range t.Developers {
			r.Require(strictyaml.Index(at("developers"), j), event.ValidName(id), nameRule)
			r.Require(strictyaml.Index(at("developers"), j), !slices.Contains(t.Developers[:j], id), "is there twice: remove one")
		}
	}
}
