package config

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Loader reads the same settings again and again. It binds a developer anew only when their
// text, their secrets or their rules have changed since the last reading: otherwise the pointer
// to their Developer stays the same. Every file is read each time, since neither its time nor
// its size says that its text did not change. It is not safe for concurrent use.
type Loader struct {
	path  string
	kinds destination.Registry

	// Documents finds developers' texts in the store, where fantail.yaml says so; nil:
	// the store is not at hand.
	Documents Documents

	rules *Rules // of the last reading
	kept  map[string]*kept
}

// NewLoader reads path (fantail.yaml) and the developers' texts that it leads to.
func NewLoader(path string, kinds destination.Registry) *Loader {
	return &Loader{path: path, kinds: kinds}
}

// kept is what came of a text that has no faults.
type kept struct {
	sum   [sha256.Size]byte // of the text
	bound Bound
}

// sum identifies a text, and what it is called.
func (t *Text) sum() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(t.ID), []byte(t.File), t.Raw} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

// before returns what came of the text at the last reading if the same must come of it now, else
// nil.
func (l *Loader) before(t *Text, sum [sha256.Size]byte, rules *Rules, secrets *Secrets) *kept {
	k := l.kept[t.File]
	if k == nil || k.sum != sum || t.Err != nil || t.Clash != "" || !rules.same(l.rules, t.ID) || !secrets.stand(t.ID, k.bound.looked) {
		return nil
	}
	return k
}

// bindAll returns what comes of every text. The result must not be used when ctx has ended.
func (l *Loader) bindAll(ctx context.Context, texts []Text, rules *Rules, secrets *Secrets) []*kept {
	all := make([]*kept, len(texts))
	parallel(len(texts), func(i int) {
		t := &texts[i]
		sum := t.sum()
		if all[i] = l.before(t, sum, rules, secrets); all[i] == nil && ctx.Err() == nil {
			all[i] = &kept{sum, rules.Bind(ctx, t, secrets)}
		}
	})
	return all
}

// keep remembers the texts without faults for the next reading.
func (l *Loader) keep(texts []Text, all []*kept, rules *Rules) {
	l.rules, l.kept = rules, make(map[string]*kept, len(texts))
	for i, k := range all {
		if k.bound.Developer != nil {
			l.kept[texts[i].File] = k
		}
	}
}

// parallel calls f with 0 to n-1, on every core.
func parallel(n int, f func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}
