package api

import (
	"cmp"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Names is what destinations are called, those that are gone included: their
// deliveries are still in the log. It is immutable.
type Names struct {
	all  []Name // by developer, name, id
	byID map[uint32]int
}

// Name is what one destination is called.
type Name struct {
	store.DestinationKey
	ID uint32
}

// NewNames indexes what the registry lists.
func NewNames(registered []store.Destination) *Names { return (&Names{}).With(registered) }

// With returns Names that know more destinations.
func (n *Names) With(registered []store.Destination) *Names {
	if len(registered) == 0 && n.byID != nil {
		return n
	}
	more := &Names{all: slices.Grow(slices.Clone(n.all), len(registered)), byID: make(map[uint32]int, len(n.all)+len(registered))}
	for _, d := range registered {
		more.all = append(more.all, Name{d.DestinationKey, d.ID})
	}
	slices.SortFunc(more.all, func(a, b Name) int {
		return cmp.Or(cmp.Compare(a.Developer, b.Developer), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	for i, d := range more.all {
		more.byID[d.ID] = i
	}
	return more
}

// Of returns the destinations that a developer has or had, by name and id.
func (n *Names) Of(developer string) []Name {
	from, _ := slices.BinarySearchFunc(n.all, developer, func(d Name, developer string) int { return cmp.Compare(d.Developer, developer) })
	to := from
	for to < len(n.all) && n.all[to].Developer == developer {
		to++
	}
	return n.all[from:to:to]
}

// Key returns what an id stands for; zero when nobody knows it.
func (n *Names) Key(id uint32) store.DestinationKey {
	if i, ok := n.byID[id]; ok {
		return n.all[i].DestinationKey
	}
	return store.DestinationKey{}
}

// find returns the ids of the destinations that who may see, of one developer
// ("": any) and with one name ("": any). A name may stand for several: another
// kind under the same name is another destination.
func (n *Names) find(who *principal, developer, name string) []uint32 {
	among := n.all
	if developer != "" {
		among = n.Of(developer)
	}
	var ids []uint32
	for _, d := range among {
		if (name == "" || d.Name == name) && who.sees(d.Developer) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// developers lists those who have or had destinations and whom who may see; one: that one alone.
func (n *Names) developers(who *principal, one string) []string {
	among := n.all
	if one != "" {
		among = n.Of(one)
	}
	var list []string
	for _, d := range among {
		if who.sees(d.Developer) && (len(list) == 0 || list[len(list)-1] != d.Developer) {
			list = append(list, d.Developer)
		}
	}
	return list
}
