package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// stored is what reading a developer's document must return: what was acknowledged, or what was being stored
// when the power was cut.
type stored struct {
	version       uint64
	text, further []byte
}

// document stores the settings of each developer who has some in setups as the next version of their
// document, as the daemon does before they are in force. It first reads what is there. A change is there
// whole or not at all, and no acknowledged change is lost.
func (p *process) document(setups map[int]Setup) error {
	e, ctx := p.engine, context.Background()
	by := map[string]map[int]Setup{}
	for i, s := range setups {
		developer := e.sc.Developers[e.sc.Dests[i].Developer]
		if by[developer] == nil {
			by[developer] = map[int]Setup{}
		}
		by[developer][i] = s
	}
	for _, developer := range slices.Sorted(maps.Keys(by)) {
		text, err := json.Marshal(by[developer])
		if err != nil {
			return err
		}
		d, err := p.store.Document(ctx, developer, 0)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		k := e.documents[developer]
		acked := d.Version == k.version && bytes.Equal(d.Text, k.text)
		if !acked && !(k.further != nil && d.Version == k.version+1 && bytes.Equal(d.Text, k.further)) {
			e.model.fault(nil, "the document of %s is version %d, %q; acknowledged was %d, %q", developer, d.Version, d.Text, k.version, k.text)
		}
		e.documents[developer] = stored{d.Version, d.Text, text}
		version, err := p.store.PutDocument(ctx, d.Version, store.Document{Developer: developer, At: time.Now(), By: "simulation", Text: text})
		if err != nil {
			return err
		}
		if !p.dead.Load() {
			e.documents[developer] = stored{version: version, text: text}
		}
	}
	return nil
}
