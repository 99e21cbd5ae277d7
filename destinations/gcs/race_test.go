package gcs

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// seed puts an object into the bucket past the destination.
func (r *rig) seed(key, body string, meta map[string]string) {
	r.Fake.CreateObject(fakestorage.Object{
		ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "acme", Name: key, ContentType: "application/json", Metadata: meta},
		Content:     []byte(body),
	})
}

// meta is what the destination writes about a delivery of one payload.
func meta(tb testing.TB, d destination.Delivery) map[string]string {
	tb.Helper()
	l, err := objectkey.Defaults().Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return l.Of(d.Event).Object(event.DefaultCatalogue().Whole(d.Event)).Meta
}

const raced = "2022-03-16/daily/u-2026-07-01T00:00:00Z.json"

// TestRetriesRacedAgainstNewerEvents: many attempts of many versions at once.
func TestRetriesRacedAgainstNewerEvents(t *testing.T) {
	const versions, attempts = 8, 4
	for range 3 {
		r := newRig(t, unchanged)
		var all sync.WaitGroup
		for _, n := range rand.Perm(versions * attempts) {
			all.Go(func() {
				d := made(t, n%versions, daily("u", "2026-07-01T00:00:00Z", n%versions))
				for range versions * attempts { // a lost race is for the next attempt
					_, err := r.Send(t.Context(), d)
					if err == nil {
						return
					}
					if class, _ := destination.ClassOf(err); class != destination.Transient {
						t.Errorf("%v is %v", err, class)
					}
				}
				t.Errorf("version %d never got through", n%versions)
			})
		}
		all.Wait()
		r.holds(map[string]string{raced: daily("u", "2026-07-01T00:00:00Z", versions-1)})
	}
}

// meddle runs f after every answer about the object's metadata has been made,
// before the destination has it.
func (r *rig) meddle(f func(reads int)) {
	reads := 0
	r.Break(func(w http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodGet || !strings.Contains(q.URL.Path, "/o/") {
			return false
		}
		r.Fake.HTTPHandler().ServeHTTP(w, q)
		reads++
		f(reads)
		return true
	})
}

func TestANewerOneThatComesBetweenIsLeft(t *testing.T) {
	r := newRig(t, unchanged)
	old, mine, newer := made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)), made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2)), made(t, 3, daily("u", "2026-07-01T00:00:00Z", 3))
	r.sends(old)
	r.meddle(func(reads int) {
		if reads == 1 {
			r.seed(raced, string(newer.Event.Body), meta(t, newer))
		}
	})
	r.sends(mine)
	r.holds(map[string]string{raced: string(newer.Event.Body)})
}

func TestAnotherThatComesBetweenIsLeft(t *testing.T) {
	r := newRig(t, unchanged)
	old, mine := made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)), made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2))
	other := made(t, 0, daily("u", "2026-06-30T23:00:00-01:00", 3))
	r.sends(old)
	r.meddle(func(reads int) {
		if reads == 1 {
			r.seed(raced, string(other.Event.Body), meta(t, other))
		}
	})
	r.sends(mine)
	r.holds(map[string]string{raced: string(other.Event.Body), strings.TrimSuffix(raced, ".json") + suffix("2026-07-01") + ".json": string(mine.Event.Body)})
}

func TestOneThatIsDeletedMeanwhileIsWrittenAnew(t *testing.T) {
	r := newRig(t, unchanged)
	r.sends(made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)))
	r.meddle(func(reads int) {
		if reads == 1 {
			r.Fake.Backend().DeleteObject("acme", raced)
		}
	})
	d := made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2))
	r.sends(d)
	r.holds(map[string]string{raced: string(d.Event.Body)})
}

func TestAfterFiveLostRacesItIsForTheNextAttempt(t *testing.T) {
	r := newRig(t, unchanged)
	old, mine := made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)), made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2))
	r.sends(old)
	puts := r.Requests("POST /upload")
	reads := 0
	r.meddle(func(n int) {
		r.seed(raced, fmt.Sprint("other ", n), meta(t, old))
		reads = n
	})
	err := r.fails(mine, destination.Transient)
	// The first put finds the key taken; each look is followed by one put.
	if puts = r.Requests("POST /upload") - puts; reads != 5 || puts != 6 || !strings.Contains(err.Error(), "5 times") {
		t.Errorf("%d reads, %d puts: %v", reads, puts, err)
	}
	r.Break(nil)
	r.sends(mine)
	r.holds(map[string]string{raced: string(mine.Event.Body)})
}

func TestEveryKeyIsAnothers(t *testing.T) {
	r := newRig(t, unchanged)
	mine := made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2))
	other := meta(t, made(t, 1, daily("other", "2026-06-30T00:00:00Z", 1)))
	l, err := objectkey.Defaults().Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range l.Of(mine.Event).Object(event.DefaultCatalogue().Whole(mine.Event)).Keys {
		r.seed(key, "theirs", other)
	}
	before := r.keys()
	r.fails(mine, destination.Rejected)
	for key, o := range r.Objects(t, "acme") {
		if string(o.Content) != "theirs" {
			t.Errorf("%s was overwritten", key)
		}
	}
	if after := r.keys(); len(after) != len(before) {
		t.Errorf("%q, want %q", after, before)
	}
}
