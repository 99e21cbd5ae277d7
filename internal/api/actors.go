package api

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/seed-51f8da91/fantail/internal/session"
	"github.com/seed-51f8da91/fantail/internal/trail"
)

// What whoever sees some developers alone reads in place of the names of tokens that are not theirs: how an operator
// calls their people and back ends is nobody else's affair, and a name to try in `by` would tell whether it exists.
const (
	theOperator = "operator"
	thePortal   = "portal" // somebody over a link
)

// nameFor returns what who reads for who acted, over which link. A token's name is shown to whoever sees all developers
// that it is for.
func (a *API) nameFor(who *principal, by, via string) string {
	if who.developers == nil || by == "" || by == trail.Daemon || session.IsLink(by) {
		return by
	}
	tokens := *a.tokens.Load()
	if slices.ContainsFunc(tokens, func(t principal) bool { return t.name == by && t.within(who) }) {
		return by
	}
	if via != "" {
		return thePortal
	}
	return theOperator
}

// within tells whether p has to do with no developer that who does not see.
func (p *principal) within(who *principal) bool {
	return p.developers != nil && !slices.ContainsFunc(p.developers, func(d string) bool { return !who.sees(d) })
}

// signature is what everybody may read who sees what p did.
func (p *principal) signature() string {
	if p.print == "" || len(p.developers) == 1 {
		return p.name
	}
	return theOperator
}

// author is who made what is kept: over a link that, which tells the operator more than the token behind it.
func (p *principal) author() string { return cmp.Or(p.via, p.name) }

// String names p in answers to p itself.
func (p *principal) String() string {
	if p.via != "" {
		return "the link " + p.via
	}
	return "the token " + strconv.Quote(p.name)
}
