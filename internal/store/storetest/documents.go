package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func documentCases() []scenario {
	return []scenario{
		{"are kept as they are", 0, documentsKept},
		{"only the next version is taken", 0, documentsInOrder},
		{"versions go on after a deletion", 0, documentsDeleted},
		{"the last 50 versions are kept", 0, documentsAged},
		{"of many who change one at once, one wins", 0, documentsRace},
		{"each once, in the order of names", 0, documentsEach},
		{"what a version was sealed with can change", 0, documentsResealed},
		{"versions can be forgotten", 0, documentsForgotten},
		{"texts are copies", 0, documentsCopied},
		{"no name", 0, documentsNameless},
		{"are durable", needCrash, documentsDurable},
	}
}

// putDoc stores the next version of a document.
func (r *rig) putDoc(developer string, was uint64, text string) store.Document {
	r.Helper()
	r.advance(time.Second)
	d := store.Document{Developer: developer, At: r.now, By: fmt.Sprint("by-", was), Text: []byte(text), Deleted: text == ""}
	version, err := r.s.PutDocument(r.ctx, was, d)
	r.must("put document", err)
	if version != was+1 {
		r.Fatalf("version %d follows %d", version, was)
	}
	d.Version = version
	return d
}

// isDoc fails the case unless a version reads as want.
func (r *rig) isDoc(version uint64, want store.Document) {
	r.Helper()
	got, err := r.s.Document(r.ctx, want.Developer, version)
	r.must("document", err)
	if !sameDoc(got, want) {
		r.Errorf("version %d of %.20q is %+v, want %+v", version, want.Developer, got, want)
	}
}

func sameDoc(a, b store.Document) bool {
	same := a.At.Equal(b.At) && bytes.Equal(a.Text, b.Text)
	a.At, b.At, a.Text, b.Text = time.Time{}, time.Time{}, nil, nil
	return same && fmt.Sprint(a) == fmt.Sprint(b)
}

// docVersions lists the numbers of what is kept.
func (r *rig) docVersions(developer string) (versions []uint64) {
	r.Helper()
	all, err := r.s.DocumentVersions(r.ctx, developer)
	r.must("versions", err)
	for _, d := range all {
		if d.Developer != developer || len(d.Text) > 0 || d.By != fmt.Sprint("by-", d.Version-1) {
			r.Errorf("listed as %+v", d)
		}
		versions = append(versions, d.Version)
	}
	return versions
}

func documentsKept(r *rig) {
	var want []store.Document
	for i, name := range []string{"a", "ab", "a.b", "A", "a/b", "\xff", "\u00e9", "c", "h", strings.Repeat("n", 2000)} {
		_, err := r.s.Document(r.ctx, name, 0)
		r.wants("a document before it is put", err, store.ErrNotFound)
		r.putDoc(name, 0, "first")
		want = append(want, r.putDoc(name, 1, strings.Repeat("x", 1+i*i*10000)))
	}
	for range 2 {
		for _, d := range want {
			r.isDoc(0, d)
			r.isDoc(2, d)
			if first, err := r.s.Document(r.ctx, d.Developer, 1); err != nil || string(first.Text) != "first" {
				r.Errorf("the first version of %.20q is %+v, %v", d.Developer, first, err)
			}
			_, err := r.s.Document(r.ctx, d.Developer, 3)
			r.wants("a version that is not there yet", err, store.ErrNotFound)
			if got := r.docVersions(d.Developer); !slices.Equal(got, []uint64{2, 1}) {
				r.Errorf("versions of %.20q: %v", d.Developer, got)
			}
		}
		r.reopen()
	}
	if got := r.docVersions("nobody"); len(got) > 0 {
		r.Errorf("versions of nobody: %v", got)
	}
}

func documentsInOrder(r *rig) {
	one := r.putDoc("acme", 0, "one")
	for _, was := range []uint64{0, 2, 1 << 63} {
		_, err := r.s.PutDocument(r.ctx, was, store.Document{Developer: "acme", At: r.now, Text: []byte("late")})
		r.wants(fmt.Sprint("a change of version ", was), err, store.ErrConflict)
	}
	_, err := r.s.PutDocument(r.ctx, 1, store.Document{Developer: "globex", At: r.now, Text: []byte("late")})
	r.wants("a change of what is not there", err, store.ErrConflict)
	r.isDoc(0, one)
}

func documentsDeleted(r *rig) {
	one := r.putDoc("acme", 0, "one")
	gone := r.putDoc("acme", 1, "")
	r.isDoc(0, gone)
	r.reopen()
	r.isDoc(0, gone)
	r.isDoc(1, one)
	_, err := r.s.PutDocument(r.ctx, 0, store.Document{Developer: "acme", At: r.now, Text: []byte("again")})
	r.wants("a new document under an old number", err, store.ErrConflict)
	r.isDoc(0, r.putDoc("acme", 2, "three"))
	if got := r.docVersions("acme"); !slices.Equal(got, []uint64{3, 2, 1}) {
		r.Errorf("versions %v", got)
	}
}

func documentsAged(r *rig) {
	other := r.putDoc("acme2", 0, "other")
	for was := range uint64(store.DocumentVersions + 7) {
		r.putDoc("acme", was, fmt.Sprint("text ", was))
		got := r.docVersions("acme")
		if want := min(int(was)+1, store.DocumentVersions); len(got) != want || got[0] != was+1 || got[want-1] != was+2-uint64(want) {
			r.Fatalf("after version %d: %v", was+1, got)
		}
	}
	_, err := r.s.Document(r.ctx, "acme", 7)
	r.wants("a version that is too old", err, store.ErrNotFound)
	if d, err := r.s.Document(r.ctx, "acme", 8); err != nil || string(d.Text) != "text 7" {
		r.Errorf("the oldest version is %+v, %v", d, err)
	}
	r.isDoc(0, other)
}

func documentsRace(r *rig) {
	const rounds, many = 5, 20
	for was := range uint64(rounds) {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() {
				version, err := r.s.PutDocument(r.ctx, was, store.Document{Developer: "acme", At: r.now, By: fmt.Sprint("by-", was), Text: fmt.Append(nil, i)})
				if err == nil && version == was+1 {
					won.Add(1)
				} else if !errors.Is(err, store.ErrConflict) {
					r.Errorf("put: version %d, %v", version, err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			r.Errorf("%d changes of version %d were taken", won.Load(), was)
		}
	}
	if got := r.docVersions("acme"); len(got) != rounds {
		r.Errorf("versions %v", got)
	}
}

// eachDoc lists what EachDocument gives.
func (r *rig) eachDoc(old bool) (all []string) {
	r.Helper()
	r.must("each", r.s.EachDocument(r.ctx, old, func(d store.Document) error {
		all = append(all, fmt.Sprintf("%s %d %s %v", d.Developer, d.Version, d.Text, d.Deleted))
		return nil
	}))
	return all
}

func documentsEach(r *rig) {
	r.putDoc("b", 0, "b1")
	r.putDoc("a", 0, "a1")
	r.putDoc("a", 1, "a2")
	r.putDoc("c", 0, "c1")
	r.putDoc("c", 1, "")
	for range 2 {
		if got, want := r.eachDoc(false), []string{"a 2 a2 false", "b 1 b1 false", "c 2  true"}; !slices.Equal(got, want) {
			r.Errorf("each %q, want %q", got, want)
		}
		got := r.eachDoc(true)
		slices.Sort(got)
		if want := []string{"a 1 a1 false", "a 2 a2 false", "b 1 b1 false", "c 1 c1 false", "c 2  true"}; !slices.Equal(got, want) {
			r.Errorf("every version %q, want %q", got, want)
		}
		r.reopen()
	}
	stop := errors.New("stop")
	n := 0
	r.wants("each that is broken off", r.s.EachDocument(r.ctx, false, func(store.Document) error { n++; return stop }), stop)
	if n != 1 {
		r.Errorf("%d calls after the error", n)
	}
}

func documentsResealed(r *rig) {
	one, two := r.putDoc("acme", 0, "one"), r.putDoc("acme", 1, "two")
	for _, d := range []*store.Document{&one, &two} {
		d.Text = append([]byte("resealed "), d.Text...)
		r.must("reseal", r.s.ResealDocument(r.ctx, "acme", d.Version, d.Text))
	}
	r.wants("reseal what is not there", r.s.ResealDocument(r.ctx, "acme", 3, []byte("x")), store.ErrNotFound)
	r.wants("reseal of nobody", r.s.ResealDocument(r.ctx, "globex", 1, []byte("x")), store.ErrNotFound)
	for range 2 {
		r.isDoc(1, one)
		r.isDoc(0, two)
		r.reopen()
	}
	r.putDoc("acme", 2, "three")
	r.isDoc(2, two)
}

func documentsForgotten(r *rig) {
	r.putDoc("acme", 0, "one")
	r.putDoc("acme", 1, "two")
	three := r.putDoc("acme", 2, "three")
	other := r.putDoc("acme2", 0, "one")
	r.must("forget", r.s.ForgetVersions(r.ctx, "acme"))
	r.must("forget nobody's", r.s.ForgetVersions(r.ctx, "globex"))
	for range 2 {
		if got := r.docVersions("acme"); !slices.Equal(got, []uint64{3}) {
			r.Errorf("versions %v", got)
		}
		r.isDoc(0, three)
		r.isDoc(0, other)
		r.reopen()
	}
	r.putDoc("acme", 3, "four")
}

func documentsCopied(r *rig) {
	text := []byte("text")
	_, err := r.s.PutDocument(r.ctx, 0, store.Document{Developer: "acme", At: r.now, Text: text})
	r.must("put", err)
	text[0] = 'X'
	for range 2 {
		d, err := r.s.Document(r.ctx, "acme", 0)
		r.must("document", err)
		if string(d.Text) != "text" {
			r.Errorf("somebody else's change came through: %q", d.Text)
		}
		d.Text[0] = 'Y'
	}
}

func documentsNameless(r *rig) {
	for _, name := range []string{"", "a\x00b"} {
		if _, err := r.s.PutDocument(r.ctx, 0, store.Document{Developer: name, At: r.now, Text: []byte("x")}); err == nil {
			r.Errorf("a document of %q was taken", name)
		}
	}
	if got := r.eachDoc(true); len(got) > 0 {
		r.Errorf("kept %q", got)
	}
}

func documentsDurable(r *rig) {
	for was := range uint64(3) {
		d := r.putDoc("acme", was, fmt.Sprint("text ", was))
		r.crash()
		r.isDoc(0, d)
	}
	r.must("reseal", r.s.ResealDocument(r.ctx, "acme", 2, []byte("again")))
	r.crash()
	if d, err := r.s.Document(r.ctx, "acme", 2); err != nil || string(d.Text) != "again" {
		r.Errorf("resealed as %+v, %v", d, err)
	}
	gone := r.putDoc("acme", 3, "")
	r.crash()
	r.isDoc(0, gone)
	r.must("forget", r.s.ForgetVersions(r.ctx, "acme"))
	r.crash()
	if got := r.docVersions("acme"); !slices.Equal(got, []uint64{4}) {
		r.Errorf("versions %v", got)
	}
}
