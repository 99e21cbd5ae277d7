package objectkey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// shelf is a bucket in memory; versions are numbers.
type shelf struct {
	objects map[string]kept
	clock   int
	asked   []string

	unreadable, unconditional, irreplaceable bool
	between                                  func(call, key string) // before each call
	meta                                     Metadata               // of what is being placed
}

type kept struct {
	meta    Metadata
	version string
}

var (
	errDenied  = destination.Misconfigure(errors.New("grant the right to read"))
	errRefused = errors.New("may not be replaced")
)

func (s *shelf) note(call, key string) {
	s.asked = append(s.asked, call)
	if s.between != nil {
		s.between(call, key)
	}
}

func (s *shelf) keep(key string, meta Metadata) {
	s.clock++
	s.objects[key] = kept{meta, fmt.Sprint(s.clock)}
}

func (s *shelf) PutIf(_ context.Context, key, version string) (Answer, error) {
	if s.unconditional {
		return Unsupported, ErrUnconditional
	}
	if s.note("putif", key); s.objects[key].version != version {
		return Occupied, errors.New("412")
	}
	if s.irreplaceable && version != "" {
		return Failed, errRefused
	}
	s.keep(key, s.meta)
	return OK, nil
}

func (s *shelf) Put(_ context.Context, key string, taken bool) error {
	s.note("put", key)
	if _, there := s.objects[key]; there != taken && !s.unreadable {
		return fmt.Errorf("taken is %v", taken)
	}
	s.keep(key, s.meta)
	return nil
}

func (s *shelf) Stat(_ context.Context, key string) (string, Metadata, Answer, error) {
	s.note("stat", key)
	o, there := s.objects[key]
	switch {
	case s.unreadable:
		return "", nil, Denied, errDenied
	case !there:
		return "", nil, Missing, errors.New("404")
	}
	return o.version, o.meta, OK, nil
}

// versionsOf returns objects of one key: of two identities, two versions each.
func versionsOf(t *testing.T, layout string) map[string]Object {
	l, err := Settings{Layout: layout}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Object{}
	for i, id := range []string{"a1", "a2", "b1", "b2"} {
		body := fmt.Sprintf(`{"type":"activity","user":{"user_id":"u"},"data":[{"metadata":{"summary_id":%q,"start_time":"2026-03-12T06:00:00Z"},"n":%d}]}`, id[:1], i)
		env, err := event.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 7, 1, 9, 12, int(id[1]-'0'), 0, time.UTC)
		e := &event.Event{ID: event.NewID(at, 0, uint64(i)), Developer: "acme", Ordering: at, Envelope: env, Body: []byte(body)}
		for o := range l.Objects(event.DefaultCatalogue(), e) {
			all[id] = o
		}
	}
	return all
}

// TestPlace is the state machine: what lies where after a row of events, and what
// was asked for.
func TestPlace(t *testing.T) {
	const plain, other = "{type}/{user_id}-{start}.json", "{start}.json"
	for _, c := range []struct {
		name   string
		layout string
		shelf  shelf
		events string // a1: item a, version 1
		ends   string
		asked  string
		holds  string // of the plain key, those with the short and the long suffix of a, those of b
	}{
		{"versions in order", plain, shelf{}, "a1 a2", "stored stored", "putif putif stat putif", "a2"},
		{"an older one that is late", plain, shelf{}, "a2 a1", "stored left", "putif putif stat", "a2"},
		{"a repeat", plain, shelf{}, "a1 a1", "stored left", "putif putif stat", "a1"},
		{"two items", plain, shelf{}, "a1 b1 b2 a2", "stored stored stored stored", "", "a2 b:b2"},
		{"unreadable: two items", plain, shelf{unreadable: true}, "a1 b1", "stored apart", "putif putif stat putif", "a1 b:b1"},
		{"unreadable: versions", plain, shelf{unreadable: true}, "a1 a2 a1", "stored apart unread", "putif putif stat putif putif stat putif stat put", "a1 a:a1"},
		{"unreadable: equal identities may meet", other, shelf{unreadable: true}, "a1 a1 a1 a1", "stored apart apart unread", "", "a1 a:a1 aa:a1"},
		{"no conditions", plain, shelf{unconditional: true}, "a2 a1 b1", "unconditional left unconditional", "stat put stat stat stat put", "a2 b:b1"},
		{"no conditions, unreadable", plain, shelf{unconditional: true, unreadable: true}, "a1 b1 b2", "unconditional unconditional unconditional", "", "a:a1 b:b2"},
		{"irreplaceable", plain, shelf{irreplaceable: true}, "a1 a2 b1", "stored error stored", "", "a1 b:b1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := versionsOf(t, c.layout)
			s := c.shelf
			s.objects = map[string]kept{}
			var ends []string
			for id := range strings.FieldsSeq(c.events) {
				s.meta = all[id].Meta
				how, err := Place(t.Context(), &s, all[id], false)
				end := [...]string{"stored", "left", "apart", "unread", "unconditional"}[how]
				if err != nil {
					end = "error"
				}
				ends = append(ends, end)
			}
			if got := strings.Join(ends, " "); got != c.ends {
				t.Errorf("it ends with %s, want %s", got, c.ends)
			}
			if got := strings.Join(s.asked, " "); c.asked != "" && got != c.asked {
				t.Errorf("it asked %s, want %s", got, c.asked)
			}
			want := map[string]string{}
			for part := range strings.FieldsSeq(c.holds) {
				key, id, ok := strings.Cut(part, ":")
				if !ok {
					key, id = "", part
				}
				keys := all[id].Keys
				want[map[int]string{0: keys[0], 1: keys[1], 2: keys[2]}[len(key)]] = id
			}
			for key, id := range want {
				if s.objects[key].meta[MetaEvent] != all[id].Meta[MetaEvent] {
					t.Errorf("%s does not hold %s", key, id)
				}
			}
			if len(s.objects) != len(want) {
				t.Errorf("it holds %v", s.objects)
			}
		})
	}
}

// TestPlaceStrictly: `stale: fail` replaces nothing that it cannot judge.
func TestPlaceStrictly(t *testing.T) {
	all := versionsOf(t, "{type}/{user_id}-{start}.json")
	for name, c := range map[string]struct {
		shelf shelf
		want  error
	}{
		"unreadable":    {shelf{unreadable: true}, errDenied},
		"no conditions": {shelf{unconditional: true}, ErrUnconditional},
	} {
		s := c.shelf
		s.objects, s.meta = map[string]kept{}, all["a2"].Meta
		s.keep(all["a1"].Keys[0], all["a1"].Meta)
		_, err := Place(t.Context(), &s, all["a2"], true)
		if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !errors.Is(err, c.want) || len(s.objects) != 1 {
			t.Errorf("%s: %v: %v, %v", name, class, err, s.objects)
		}
	}
}

// TestPlaceGivesUpRaces that it loses again and again.
func TestPlaceGivesUpRaces(t *testing.T) {
	all := versionsOf(t, "{type}/{user_id}-{start}.json")
	s := shelf{objects: map[string]kept{}, meta: all["a2"].Meta}
	s.between = func(call, key string) {
		if call == "putif" {
			s.keep(key, all["a1"].Meta)
		}
	}
	_, err := Place(t.Context(), &s, all["a2"], false)
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient || len(s.asked) != 1+2*rounds {
		t.Errorf("%v: %v after %q", class, err, s.asked)
	}
	s = shelf{objects: map[string]kept{}, meta: all["a2"].Meta} // deleted between look and put
	s.keep(all["a1"].Keys[0], all["a1"].Meta)
	gone := false
	s.between = func(call, key string) {
		if call == "stat" && !gone {
			gone = true
			delete(s.objects, key)
		}
	}
	if how, err := Place(t.Context(), &s, all["a2"], false); how != Stored || err != nil || strings.Join(s.asked, " ") != "putif stat putif" {
		t.Errorf("%v, %v after %q", how, err, s.asked)
	}
}
