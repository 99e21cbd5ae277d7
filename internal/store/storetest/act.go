package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func actCases() []scenario {
	return []scenario{
		{"are kept, newest first", 0, actsKept},
		{"never run backward", 0, actsForward},
		{"are found by what they are", 0, actsFound},
		{"cursors belong to their list", 0, actsCursor},
		{"go by the day", 0, actsRetained},
		{"lose who is erased", 0, actsErased},
		{"of many at once", 0, actsConcurrent},
		{"are in a backup", needBackup, actsBackedUp},
		{"of a closed store", 0, actsClosed},
		{"survive a power failure", needCrash, actsDurable},
	}
}

func (r *rig) note(acts ...store.Act) {
	r.Helper()
	r.must("note", r.s.Note(r.ctx, r.now, acts))
}

// acts reads all that q selects, in pages of limit.
func (r *rig) acts(q store.ActQuery, limit int) (all []store.Act) {
	r.Helper()
	for q.Limit = limit; ; {
		page, err := r.s.Acts(r.ctx, q)
		r.must("acts", err)
		if len(page.Items) > limit {
			r.Fatalf("a page of %d has %d acts", limit, len(page.Items))
		}
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return all
		}
	}
}

// objects are those of acts, in their order.
func objects(acts []store.Act) string {
	names := make([]string, len(acts))
	for i, a := range acts {
		names[i] = a.Object
	}
	return strings.Join(names, " ")
}

func actsKept(r *rig) {
	full := store.Act{
		By: "support", Via: "lnk_1", From: "192.0.2.0/24", Call: "pauseDestination", Developer: "acme", Object: "app", Reason: "\u001b[31m\x00 日本語",
		Result: "ok", State: "paused", Count: 1 << 30,
	}
	r.note(full)
	r.advance(time.Millisecond)
	r.note(store.Act{Object: "b"}, store.Act{Object: "c", Developer: "acme"})
	r.advance(25 * time.Hour)
	r.note(store.Act{Object: "d", Developer: "acme"})
	r.note()
	for range 2 {
		for _, limit := range []int{1, 2, 1000} {
			got := r.acts(store.ActQuery{}, limit)
			if objects(got) != "d c b app" {
				r.Errorf("in pages of %d: %s", limit, objects(got))
				return
			}
			full.At = start.UnixMilli() * int64(time.Millisecond)
			if got[3] != full {
				r.Errorf("act %+v, want %+v", got[3], full)
			}
			if got[0].At != r.now.UnixMilli()*int64(time.Millisecond) {
				r.Errorf("at %v, want %v", time.Unix(0, got[0].At), r.now)
			}
		}
		r.reopen()
	}
}

func actsForward(r *rig) {
	r.note(store.Act{Object: "a"})
	newest := r.now
	r.advance(-49 * time.Hour)
	r.note(store.Act{Object: "b"}, store.Act{Object: "c"})
	r.reopen()
	r.note(store.Act{Object: "d"})
	got := r.acts(store.ActQuery{}, 3)
	if objects(got) != "d c b a" {
		r.Errorf("a clock that is set back: %s", objects(got))
	}
	for _, a := range got {
		if a.At < newest.UnixMilli()*int64(time.Millisecond) {
			r.Errorf("%s is of %v, before what was noted before it", a.Object, time.Unix(0, a.At))
		}
	}
}

func actsFound(r *rig) {
	times := []time.Time{}
	for i, developer := range []string{"acme", "globex", "", "initech", "acme", "globex", "acme"} {
		a := store.Act{Object: fmt.Sprint(i), Developer: developer, By: []string{"support", "robot"}[i%2], Call: []string{"reload", "retryDelivery", "pauseDestination"}[i%3]}
		if i%3 == 2 {
			a.State = "paused"
		}
		times = append(times, r.now)
		r.note(a)
		r.advance(9 * time.Hour)
	}
	for i, c := range []struct {
		q    store.ActQuery
		want string
	}{
		{store.ActQuery{}, "6 5 4 3 2 1 0"},
		{store.ActQuery{Developers: []string{"acme"}}, "6 4 0"},
		{store.ActQuery{Developers: []string{"acme", "globex"}}, "6 5 4 1 0"},
		{store.ActQuery{Developers: []string{"acme", "acme"}}, "6 4 0"},
		{store.ActQuery{Developers: []string{"nobody"}}, ""},
		{store.ActQuery{Developers: []string{}}, ""},
		{store.ActQuery{By: "robot"}, "5 3 1"},
		{store.ActQuery{By: "robot", Developers: []string{"globex"}}, "5 1"},
		{store.ActQuery{Call: "reload"}, "6 3 0"},
		{store.ActQuery{Object: "3"}, "3"},
		{store.ActQuery{States: true}, "5 2"},
		{store.ActQuery{States: true, Developers: []string{"globex"}}, "5"},
		{store.ActQuery{Since: times[2], Until: times[5]}, "4 3 2"},
		{store.ActQuery{Since: times[2].Add(time.Millisecond)}, "6 5 4 3"},
		{store.ActQuery{Since: times[1], Until: times[6], Developers: []string{"acme", "globex"}}, "5 4 1"},
		{store.ActQuery{Since: times[6].Add(time.Hour)}, ""},
	} {
		for _, limit := range []int{1, 2, 1000} {
			if got := objects(r.acts(c.q, limit)); got != c.want {
				r.Errorf("%d: %+v in pages of %d: %q, want %q", i, c.q, limit, got, c.want)
			}
		}
	}
}

func actsCursor(r *rig) {
	for i := range 4 {
		r.note(store.Act{Object: fmt.Sprint(i), Developer: "acme"})
	}
	page, err := r.s.Acts(r.ctx, store.ActQuery{Developers: []string{"acme"}, Limit: 1})
	r.must("acts", err)
	for _, q := range []store.ActQuery{
		{Cursor: page.Next, Limit: 1}, {Cursor: page.Next, Limit: 1, Developers: []string{"globex"}}, {Cursor: "x", Limit: 1},
		{Cursor: page.Next, Limit: 1, Developers: []string{"acme"}, By: "x"}, {Cursor: page.Next, Limit: 1, Developers: []string{"acme"}, States: true},
	} {
		_, err := r.s.Acts(r.ctx, q)
		r.wants(fmt.Sprintf("the cursor of another list with %+v", q), err, store.ErrCursor)
	}
}

func actsRetained(r *rig) {
	for i := range 5 {
		r.note(store.Act{Object: fmt.Sprint(i), Developer: "acme"})
		r.advance(24 * time.Hour)
	}
	r.retain(store.Retention{Events: 24 * time.Hour, Attempts: 24 * time.Hour})
	if got := objects(r.acts(store.ActQuery{}, 1000)); got != "4 3 2 1 0" {
		r.Errorf("kept for ever: %s", got)
	}
	for range 2 {
		r.retain(store.Retention{Acts: 72 * time.Hour})
		for _, q := range []store.ActQuery{{}, {Developers: []string{"acme"}}} {
			if got := objects(r.acts(q, 1000)); got != "4 3 2" {
				r.Errorf("kept for 72 hours: %s of %+v", got, q)
			}
		}
		r.reopen()
	}
	r.note(store.Act{Object: "5"})
	if got := objects(r.acts(store.ActQuery{}, 2)); got != "5 4 3 2" {
		r.Errorf("after retention: %s", got)
	}
}

func actsErased(r *rig) {
	acts := []store.Act{
		{By: "a", Developer: "acme", Object: "ann-42", Reason: "law"},
		{By: "b", Developer: "acme", Object: "app", Reason: "asked by Ann-42."},
		{By: "c", Developer: "acme", Object: "app", Reason: "about ann-421"},
		{By: "d", Developer: "globex", Object: "ann-42", Reason: "ann-42"},
		{By: "e", Reason: "reloaded for ann-42"},
		{By: "f", Developer: "acme", Object: "app", Reason: "planning"},
	}
	for i := range acts {
		r.note(acts[i])
		r.advance(11 * time.Hour)
	}
	for i := range 200 { // more than one chunk
		acts = append(acts, store.Act{By: fmt.Sprint(i), Developer: "acme", Reason: "again ann-42"})
	}
	r.note(acts[6:]...)
	for i := range acts {
		if a := &acts[i]; a.Developer != "globex" {
			a.Forget("ann-42")
		}
	}
	r.erase("acme", "ann-42")
	for range 2 {
		for _, q := range []store.ActQuery{{}, {Developers: []string{"acme"}}, {Developers: []string{"acme", "globex"}}, {Developers: []string{"globex"}}} {
			got := r.acts(q, 100)
			slices.Reverse(got)
			want := slices.DeleteFunc(slices.Clone(acts), func(a store.Act) bool { return q.Developers != nil && !slices.Contains(q.Developers, a.Developer) })
			if len(got) != len(want) {
				r.Errorf("of %q: %d acts, want %d", q.Developers, len(got), len(want))
				continue
			}
			for i := range got {
				if got[i].At = 0; got[i] != want[i] {
					r.Errorf("of %q: act %+v, want %+v", q.Developers, got[i], want[i])
				}
			}
		}
		r.reopen()
	}
}

func actsConcurrent(r *rig) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 20 {
				if err := r.s.Note(r.ctx, r.now, []store.Act{{Object: fmt.Sprint(i, ":", n), Developer: "acme"}, {Object: fmt.Sprint(i, "/", n)}}); err != nil {
					r.Errorf("note: %v", err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, a := range r.acts(store.ActQuery{}, 7) {
		if seen[a.Object] {
			r.Errorf("%s is there twice", a.Object)
		}
		seen[a.Object] = true
	}
	if len(seen) != 320 {
		r.Errorf("%d acts, want 320", len(seen))
	}
}

func actsBackedUp(r *rig) {
	r.note(store.Act{Object: "a"}, store.Act{Object: "b", Developer: "acme"})
	copied := r.backup()
	r.note(store.Act{Object: "c"})
	if got := objects(copied.acts(store.ActQuery{}, 10)); got != "b a" {
		r.Errorf("the backup has %q", got)
	}
}

func actsClosed(r *rig) {
	r.must("close", r.s.Close())
	r.wants("note", r.s.Note(r.ctx, r.now, []store.Act{{}}), store.ErrClosed)
	_, err := r.s.Acts(r.ctx, store.ActQuery{Limit: 1})
	r.wants("acts", err, store.ErrClosed)
	r.reopen()
}

func actsDurable(r *rig) {
	r.note(store.Act{Object: "a", Developer: "acme"})
	r.crash()
	r.note(store.Act{Object: "b", Developer: "acme"})
	r.crash()
	for _, q := range []store.ActQuery{{}, {Developers: []string{"acme"}}} {
		if got := objects(r.acts(q, 10)); got != "b a" {
			r.Errorf("after power failures: %q", got)
		}
	}
}
