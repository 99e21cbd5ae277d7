package api

import (
	"cmp"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Names is what destinations are called, those that are gone included: their
// deliveries are still in the log. It is immutable.
type Names struct {
	all  []store.Destination // by developer, name, id
	byID map[uint32]int
}

// NewNames indexes what the registry lists.
func NewNames(registered []store.Destination) *Names {
	n := &Names{
		all:  slices.Clone(registered),
		byID: make(map[uint32]int, len(registered)),
	}
	slices.SortFunc(n.all, func(a, b store.Destination) int {
		return cmp.Or(cmp.Compare(a.Developer, b.Developer), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	for i, d := range n.all {
		n.byID[d.ID] = i
	}
	return n
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
	var ids []uint32
	for _, d := range n.all {
		if (developer == "" || d.Developer == developer) && (name == "" || d.Name == name) && who.sees(d.Developer) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}
