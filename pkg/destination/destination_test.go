package destination

import (
	"context"
	"errors"
	"testing"
)

type settings struct {
	Size  int
	Fault error
}

func (s settings) Validate() error { return s.Fault }

type place struct {
	size int
	deps Deps
}

func (p place) Send(context.Context, Delivery) (Receipt, error) { return Receipt{Code: p.size}, nil }
func (p place) Close() error                                    { return nil }

func define(opened *int) Definition {
	return Define("place", Traits{Frozen: true}, func() settings { return settings{Size: 7} },
		func(s settings, d Deps) (Destination, error) { *opened++; return place{s.Size, d}, nil })
}

func TestBindFillsInDefaultsAndOpensNothing(t *testing.T) {
	var opened int
	def := define(&opened)
	if def.Kind != "place" || !def.Traits.Frozen {
		t.Errorf("the definition lost its kind or traits: %+v", def)
	}
	for want, decode := range map[int]func(any) error{
		7: func(any) error { return nil },
		9: func(into any) error { into.(*settings).Size = 9; return nil },
	} {
		open, err := def.Bind(decode)
		if err != nil {
			t.Fatal(err)
		}
		if opened != 0 {
			t.Fatal("Bind opened the destination")
		}
		d, err := open(Deps{Brand: "terra"})
		if err != nil {
			t.Fatal(err)
		}
		if p := d.(place); p.size != want || p.deps.Brand != "terra" {
			t.Errorf("opened with %+v, want size %d and the brand", p, want)
		}
		opened = 0
	}
}

func TestBindRefusesWhatItCannotReadAndWhatIsNotValid(t *testing.T) {
	var opened int
	unreadable, invalid := errors.New("unreadable"), errors.New("invalid")
	if _, err := define(&opened).Bind(func(any) error { return unreadable }); !errors.Is(err, unreadable) {
		t.Errorf("%v, want %v", err, unreadable)
	}
	if _, err := define(&opened).Bind(func(into any) error { into.(*settings).Fault = invalid; return nil }); !errors.Is(err, invalid) {
		t.Errorf("%v, want %v", err, invalid)
	}
}

func TestRegistryRefusesAKindTwice(t *testing.T) {
	var opened int
	if r := NewRegistry(define(&opened)); r["place"].Kind != "place" {
		t.Errorf("the registry does not find the kind: %v", r)
	}
	defer func() {
		if recover() == nil {
			t.Error("a kind defined twice was accepted")
		}
	}()
	NewRegistry(define(&opened), define(&opened))
}
