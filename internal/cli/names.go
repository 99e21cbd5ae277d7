package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/suggest"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event/generate"
)

// named are the names that a command was given; empty ones were not.
type named struct {
	developer, destination string
	types                  []string
}

// recognise is nil when the daemon knows the names, and otherwise an error that suggests what was
// meant. Commands that found nothing call it: a mistyped name and an empty list would look alike
// otherwise. For a token that may not read it is nil.
//
// A developer is known if they have a destination, also a removed one, or an event. A type that the
// catalogue does not have may be the producer's own. It is questioned only if no event has it.
func (e *env) recognise(ctx context.Context, c *client.Client, n named) error {
	var err error
	if n.developer != "" {
		err = recogniseDeveloper(ctx, c, n.developer, n.destination)
	}
	for i := 0; i < len(n.types) && err == nil; i++ {
		err = recogniseType(ctx, c, n.developer, n.types[i])
	}
	if isForbidden(err) {
		return nil
	}
	return err
}

func isForbidden(err error) bool {
	refused, ok := errors.AsType[*client.Error](err)
	return ok && refused.Status == http.StatusForbidden
}

func recogniseDeveloper(ctx context.Context, c *client.Client, developer, destination string) error {
	mine, err := destinationNames(ctx, c, developer)
	if err != nil {
		return err
	}
	switch {
	case slices.Contains(mine, destination):
		return nil
	case len(mine) > 0 && destination == "":
		return nil
	case len(mine) > 0:
		return fmt.Errorf("%s has no destination %q: %s", clean(developer), destination, clean(suggest.Some(destination, mine)))
	}
	some, err := haveEvents(ctx, c, client.EventFilter{Developer: developer})
	if err != nil {
		return err
	}
	if some && destination == "" {
		return nil
	}
	if some {
		return fmt.Errorf("%s has no destination %q: there are none", clean(developer), destination)
	}
	all, err := developerNames(ctx, c)
	if err != nil {
		return err
	}
	return fmt.Errorf("no developer %q is known: %s", developer, clean(suggest.Some(developer, all)))
}

func recogniseType(ctx context.Context, c *client.Client, developer, typ string) error {
	known, err := typeNames()
	if err != nil || slices.Contains(known, typ) {
		return err
	}
	some, err := haveEvents(ctx, c, client.EventFilter{Developer: developer, Types: []string{typ}})
	if err != nil || some {
		return err
	}
	return fmt.Errorf("no event of the type %q is known: %s", typ, clean(suggest.Some(typ, known)))
}

func haveEvents(ctx context.Context, c *client.Client, f client.EventFilter) (bool, error) {
	f.Limit = 1
	for _, err := range c.Events(ctx, f) {
		return err == nil, err
	}
	return false, nil
}

// destinationNames lists the destinations of a developer, those that were removed too.
func destinationNames(ctx context.Context, c *client.Client, developer string) (names []string, err error) {
	for d, err := range c.Destinations(ctx, developer, "") {
		if err != nil {
			return nil, err
		}
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// developerNames lists the developers who have destinations, in order.
func developerNames(ctx context.Context, c *client.Client) (names []string, err error) {
	for d, err := range c.Destinations(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		if len(names) == 0 || names[len(names)-1] != d.Developer {
			names = append(names, d.Developer)
		}
	}
	return names, nil
}

// typeNames lists the types of the catalogue.
func typeNames() ([]string, error) {
	g, err := generate.New(1)
	if err != nil {
		return nil, err
	}
	return g.Types(), nil
}

// destination returns the destination that the arguments of a command name, as it is now. If there
// is none the error suggests what was meant.
func (e *env) destination(ctx context.Context, c *client.Client, developer, name string) (client.Destination, error) {
	for d, err := range c.Destinations(ctx, developer, "") {
		if err != nil {
			return client.Destination{}, err
		}
		if d.Name == name && d.State != "removed" {
			return d, nil
		}
	}
	err := recogniseDeveloper(ctx, c, developer, name)
	if err == nil {
		err = fmt.Errorf("%s/%s is not in the settings any more", clean(developer), clean(name))
	}
	return client.Destination{}, err
}

// unknownDeveloper is the daemon's code for a developer whom it does not know.
const unknownDeveloper = "unknown_developer"

// meantDeveloper suggests which developer was meant; nil where nothing can be suggested.
func meantDeveloper(ctx context.Context, c *client.Client, developer string) error {
	err := recogniseDeveloper(ctx, c, developer, "")
	if _, failed := errors.AsType[*client.Error](err); failed {
		return nil
	}
	return err
}

// orNearest is err, with a suggestion if err says that there is no such destination.
func (e *env) orNearest(ctx context.Context, c *client.Client, developer, name string, err error) error {
	if !client.IsNotFound(err) {
		return err
	}
	meant := e.recognise(ctx, c, named{developer: developer, destination: name})
	if _, failed := errors.AsType[*client.Error](meant); meant == nil || failed {
		return err
	}
	return meant
}
