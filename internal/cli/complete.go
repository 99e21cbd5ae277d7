package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// A completion holds up the person who types. It has this long, offers at most so many names, and
// reports no errors.
const (
	completeWithin = time.Second
	mostOffered    = 500
)

// takeDestination are the commands whose argument is a destination, or its developer.
var takeDestination = []string{"pause", "resume", "rebind", "test", "check", "tail"}

// takeFiles are the commands whose arguments are files or folders.
var takeFiles = []string{"send", "explain", "backup", "restore"}

// complete offers the names that the daemon knows, for the arguments and flags of
// root and all below.
func (e *env) complete(root *cobra.Command) {
	for _, c := range root.Commands() {
		e.complete(c)
		switch {
		case slices.Contains(takeDestination, c.Name()):
			c.ValidArgsFunction = e.offer(e.destinationsLike)
		case !slices.Contains(takeFiles, c.Name()) && c.ValidArgsFunction == nil:
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		for flag, find := range map[string]finder{"developer": e.developersLike, "destination": e.destinationsOf, "type": typesLike, "types": typesLike} {
			if _, there := c.GetFlagCompletionFunc(flag); c.LocalFlags().Lookup(flag) != nil && !there {
				_ = c.RegisterFlagCompletionFunc(flag, e.offer(find))
			}
		}
	}
}

// finder finds what begins with prefix.
type finder func(ctx context.Context, cmd *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective)

// offer is find within its bounds.
func (e *env) offer(find finder) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, done := context.WithTimeout(cmd.Context(), completeWithin)
		defer done()
		found, how := find(ctx, cmd, typed)
		return found[:min(len(found), mostOffered)], how | cobra.ShellCompDirectiveNoFileComp
	}
}

// developersLike finds developers.
func (e *env) developersLike(ctx context.Context, _ *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	return e.namesLike(ctx, "", prefix), 0
}

// destinationsLike finds developers, which a slash follows, and after a slash their destinations.
func (e *env) destinationsLike(ctx context.Context, _ *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	developer, name, both := strings.Cut(prefix, "/")
	if !both {
		return suffixed(e.namesLike(ctx, "", prefix), "/"), cobra.ShellCompDirectiveNoSpace
	}
	found := e.namesLike(ctx, developer, name)
	for i := range found {
		found[i] = developer + "/" + found[i]
	}
	return found, 0
}

// destinationsOf finds destinations of the developer that --developer names.
func (e *env) destinationsOf(ctx context.Context, cmd *cobra.Command, prefix string) ([]string, cobra.ShellCompDirective) {
	developer, err := cmd.Flags().GetString("developer")
	if err != nil || developer == "" {
		return nil, 0
	}
	return e.namesLike(ctx, developer, prefix), 0
}

// namesLike lists developers, or the destinations of one, that begin with prefix. It returns those
// that arrived in time.
func (e *env) namesLike(ctx context.Context, developer, prefix string) (names []string) {
	c, err := e.client()
	if err != nil {
		return nil
	}
	for d, err := range c.Destinations(ctx, developer, "") {
		if err != nil || len(names) == mostOffered {
			break
		}
		name := d.Developer
		if developer != "" {
			name = d.Name
		}
		// The daemon allows no other names, but another program at its address might send some.
		if strings.HasPrefix(name, prefix) && event.ValidName(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// typesLike finds types of the catalogue, which needs no daemon. Of several types with commas
// between them it completes the last.
func typesLike(_ context.Context, _ *cobra.Command, prefix string) (found []string, _ cobra.ShellCompDirective) {
	known, err := typeNames()
	if err != nil {
		return nil, 0
	}
	i := strings.LastIndex(prefix, ",") + 1
	for _, typ := range known {
		if strings.HasPrefix(typ, prefix[i:]) {
			found = append(found, prefix[:i]+typ)
		}
	}
	return found, 0
}

func suffixed(names []string, suffix string) []string {
	for i := range names {
		names[i] += suffix
	}
	return names
}
