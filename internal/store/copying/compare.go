package copying

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// audit counts everything again on both sides. Both must balance, and say the same.
func (o *Options) audit(ctx context.Context, from, to Store) (int, error) {
	var sums [2]map[uint32]store.Counts
	for i, s := range [...]struct {
		name string
		Store
	}{{o.From.Name, from}, {o.To.Name, to}} {
		sums[i] = map[uint32]store.Counts{}
		rows, err := s.Audit(ctx, true, func(n int64) { o.Show(Auditing, Progress{Records: n}) })
		if err != nil {
			return 0, fmt.Errorf("audit %s: %w", s.name, err)
		}
		for _, r := range rows {
			if r.Recounted == nil || *r.Recounted != r.Counts {
				return 0, fmt.Errorf("audit %s: destination %d does not add up: counters %+v, counted again %+v", s.name, r.Dest, r.Counts, r.Recounted)
			}
			if n := s.Counts(r.Dest); n != r.Counts {
				return 0, fmt.Errorf("audit %s: destination %d does not add up: counters %+v, in memory %+v", s.name, r.Dest, r.Counts, n)
			}
			if r.Counts != (store.Counts{}) {
				sums[i][r.Dest] = r.Counts
			}
		}
	}
	if !reflect.DeepEqual(sums[0], sums[1]) {
		return 0, fmt.Errorf("audit: the sides do not say the same: %v and %v", sums[0], sums[1])
	}
	return len(sums[0]), nil
}

// compare reads both sides again, and compares every record.
func (o *Options) compare(ctx context.Context, from, to Store, whole Progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	other := make(chan Record, 1000)
	read := make(chan error, 1)
	go func() {
		defer close(other)
		read <- to.Export(ctx, Place{}, func(r Record) error {
			select {
			case other <- r:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	p := Progress{}
	err := from.Export(ctx, Place{}, func(want Record) error {
		got, some := <-other
		if !some {
			return fmt.Errorf("the copy ends before %T at %x", want, want.Place().Key)
		}
		if !same(got, want) {
			return fmt.Errorf("%T at %x differs from its copy, %T at %x", want, want.Place().Key, got, got.Place().Key)
		}
		if p.count(want); p.Records%1000 == 0 {
			p.Total = whole.Total
			o.Show(Comparing, p)
		}
		return nil
	})
	if err == nil {
		if more, some := <-other; some {
			err = fmt.Errorf("the copy has more: %T at %x", more, more.Place().Key)
		}
	}
	cancel(errors.New("compared"))
	for range other { // the reader ends
	}
	if failed := <-read; err == nil && failed != nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("compare %s with %s: %w", o.From.Name, o.To.Name, err)
	}
	return nil
}

// same compares two records. What is empty is the same whether it is nil or not.
func same(a, b Record) bool {
	plain(a)
	plain(b)
	return reflect.DeepEqual(a, b)
}

func plain(r Record) {
	empty := func(b *[]byte) {
		if len(*b) == 0 {
			*b = nil
		}
	}
	switch r := r.(type) {
	case *Settings:
		empty(&r.Sealed)
	case *Value:
		empty(&r.Value)
	case *Document:
		empty(&r.Text)
	case *Event:
		if r.Row != nil && len(r.Row.To) == 0 {
			r.Row.To = nil
		}
	}
}
