package pgstore

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Two daemons that change one value undo nothing of each other.
func TestSwapStoresWhereNobodyElseHas(t *testing.T) {
	url := freshDatabase(t)
	a, b := openAt(t, url), openAt(t, url)
	if err := a.Swap(ctx, "k", []byte("x"), []byte("y")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("nothing is there: %v", err)
	}
	if err := a.Swap(ctx, "k", nil, []byte{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Swap(ctx, "k", nil, []byte("z")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("something empty is there: %v", err)
	}
	var both sync.WaitGroup
	for i, s := range []*Store{a, b} {
		both.Go(func() {
			for range 20 {
				for {
					was, err := s.Get(ctx, "k")
					if err == nil {
						err = s.Swap(ctx, "k", was, append(was, fmt.Sprint(i)...))
					}
					if err == nil {
						break
					}
					if !errors.Is(err, store.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	both.Wait()
	if v, err := b.Get(ctx, "k"); err != nil || len(v) != 40 {
		t.Errorf("%d changes stand, of 40: %v", len(v), err)
	}
}

func TestDurabilityHasAName(t *testing.T) {
	for in, want := range map[[3]string]string{
		{"on", "on", ""}: durableLocal, {"off", "on", "*"}: durableLocal, {"local", "on", "*"}: durableLocal,
		{"remote_apply", "on", "FIRST 1 (a)"}: durableStandby, {"on", "off", "*"}: durableNone,
	} {
		if got := durabilityOf(in[0], in[1], in[2]); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
	s := openAt(t, freshDatabase(t))
	if v := s.Vitals(); v.Slots == 0 || v.Durability == "" || v.LeaseAge < 0 {
		t.Errorf("%+v", v)
	}
}
