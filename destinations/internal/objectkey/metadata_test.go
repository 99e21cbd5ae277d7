package objectkey

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestMetadata(t *testing.T) {
	e := made(t, `{"type":"daily","user":{"user_id":"ü ser"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"}},{"metadata":{"start_time":"2026-07-02T00:00:00Z"}}]}`)
	e.Reference = "a=?b%c*"
	got := objects(t, Defaults(), e)[1].Meta
	want := Metadata{
		"fantail-type":      "daily",
		"fantail-user":      "%C3%BC%20ser",
		"fantail-identity":  "2026-07-02",
		"fantail-ordering":  "2026-07-01T09:12:33.891000Z",
		"fantail-event-id":  e.ID.String(),
		"fantail-index":     "1",
		"fantail-reference": "a%3D%3Fb%25c%2A",
		"fantail-sha256":    sum(t, e, 1),
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// sum returns the SHA-256 of the body of a payload of e.
func sum(t *testing.T, e *event.Event, index int) string {
	t.Helper()
	for p := range event.DefaultCatalogue().Payloads(e) {
		if p.Index == index {
			return fmt.Sprintf("%x", sha256.Sum256(p.Body))
		}
	}
	t.Fatalf("the event has no item %d", index)
	return ""
}

func TestTheLongestMetadataFitsAndSurvivesAsHeaders(t *testing.T) {
	long := strings.Repeat("ü=?\u0000 ", 1000)
	e := made(t, `{"type":"`+strings.Repeat("é", 64)+`"}`)
	e.UserID, e.Reference = long, strings.Repeat("=", 128)
	l, err := Defaults().Compile()
	if err != nil {
		t.Fatal(err)
	}
	m := l.Of(e).Object(event.Payload{ID: "i", Index: 10_000_000, Identity: long}).Meta
	size := 0
	for name, value := range m {
		size += len(name) + len(value)
		if value == "" || len(value) > 256 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%s: %q", name, value)
		}
		if http.CanonicalHeaderKey(name) == name {
			t.Errorf("%s is no header name in lower case", name)
		}
	}
	if size > 2048 {
		t.Errorf("%d bytes", size)
	}
	other := maps.Clone(m)
	other[MetaIdentity] = headerSafe(long + "x")
	if m.Against(other) != Next || m.Against(m) != Leave {
		t.Error("long identities are not told apart")
	}
}

// A text must not be able to look like the hash of another.
func TestNoTextLooksLikeAHash(t *testing.T) {
	hash := headerSafe(strings.Repeat("x", 257))
	if len(hash) != 65 || hash[0] != '*' || headerSafe(hash) == hash {
		t.Errorf("%s reads as %s", hash, headerSafe(hash))
	}
	if text := strings.Repeat("x", 256); headerSafe(text) != text {
		t.Error("a text of the largest length was hashed")
	}
}

func TestAgainst(t *testing.T) {
	earlier, later := accepted.Add(-time.Microsecond), accepted.Add(time.Microsecond)
	mine := Metadata{
		MetaType: "daily", MetaUser: "u", MetaIdentity: "2026-07-01", MetaReference: "r", MetaSHA256: "a",
		MetaOrdering: accepted.Format(time.RFC3339Nano), MetaEvent: event.NewID(accepted, 5, 0).String(), MetaIndex: "10",
	}
	for _, c := range []struct {
		name   string
		theirs map[string]string // over mine; "-" takes away
		want   Decision
	}{
		{"the very same", nil, Leave},
		{"the same under another reference", map[string]string{MetaReference: "-"}, Leave},
		{"the same, written otherwise", map[string]string{MetaSHA256: "b"}, Overwrite},
		{"the same, without a hash", map[string]string{MetaSHA256: "-"}, Overwrite},

		{"ordered before", map[string]string{MetaOrdering: earlier.Format(time.RFC3339Nano), MetaEvent: event.NewID(later, 9, 9).String()}, Overwrite},
		{"ordered after", map[string]string{MetaOrdering: later.Format(time.RFC3339Nano), MetaEvent: event.NewID(earlier, 0, 0).String()}, Leave},
		{"ordered after, in another zone", map[string]string{MetaOrdering: later.In(time.FixedZone("", -12*3600)).Format(time.RFC3339Nano)}, Leave},
		{"a lower event id", map[string]string{MetaEvent: event.NewID(accepted, 4, 9).String()}, Overwrite},
		{"a higher event id", map[string]string{MetaEvent: event.NewID(accepted, 6, 0).String()}, Leave},
		{"an earlier item", map[string]string{MetaIndex: "9", MetaSHA256: "b"}, Overwrite},
		{"a later item", map[string]string{MetaIndex: "11", MetaSHA256: "b"}, Leave},

		{"another identity, ordered before", map[string]string{MetaIdentity: "2026-07-02", MetaOrdering: earlier.Format(time.RFC3339Nano)}, Next},
		{"another identity, ordered after", map[string]string{MetaIdentity: "2026-07-02", MetaOrdering: later.Format(time.RFC3339Nano)}, Next},
		{"another identity that says no more", map[string]string{MetaIdentity: "2026-07-02", MetaOrdering: "-", MetaEvent: "-", MetaIndex: "-"}, Next},
		{"another user", map[string]string{MetaUser: "v"}, Next},
		{"no user", map[string]string{MetaUser: "-"}, Next},
		{"another type", map[string]string{MetaType: "body"}, Next},

		{"no identity", map[string]string{MetaIdentity: "-"}, Overwrite},
		{"an empty identity", map[string]string{MetaIdentity: ""}, Overwrite},
		{"no identity, ordered after", map[string]string{MetaIdentity: "-", MetaOrdering: later.Format(time.RFC3339Nano)}, Overwrite},
		{"no ordering time", map[string]string{MetaOrdering: "-"}, Overwrite},
		{"an unreadable ordering time", map[string]string{MetaOrdering: "9999"}, Overwrite},
		{"an ordering time of much text", map[string]string{MetaOrdering: strings.Repeat("9", 1<<20)}, Overwrite},
		{"no event id", map[string]string{MetaEvent: "-"}, Overwrite},
		{"an unreadable event id", map[string]string{MetaEvent: strings.Repeat("f", 36)}, Overwrite},
		{"no index", map[string]string{MetaIndex: "-"}, Overwrite},
		{"an unreadable index", map[string]string{MetaIndex: "99999999999999999999"}, Overwrite},
		{"the lowest index", map[string]string{MetaIndex: "-9223372036854775808"}, Overwrite},
	} {
		t.Run(c.name, func(t *testing.T) {
			theirs := maps.Clone(mine)
			for name, value := range c.theirs {
				theirs[name] = value
				if value == "-" {
					delete(theirs, name)
				}
			}
			if got := mine.Against(theirs); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			canonical := Metadata{}
			for name, value := range theirs {
				canonical[http.CanonicalHeaderKey(name)] = value
			}
			if got := mine.Against(canonical); got != c.want {
				t.Errorf("with canonical names: %v, want %v", got, c.want)
			}
		})
	}
	if mine.Against(nil) != Overwrite || mine.Against(Metadata{"Content-Type": "x"}) != Overwrite {
		t.Error("an object that is not ours does not count as older")
	}
}

// TestTimesBeyondTheYear9999 are the newest, not the oldest: producers may name any.
func TestTimesBeyondTheYear9999(t *testing.T) {
	env, err := event.Parse([]byte(`{"type":"auth"}`))
	if err != nil {
		t.Fatal(err)
	}
	at := func(n uint64, when time.Time) Object {
		e := &event.Event{ID: event.NewID(time.Unix(1, 0), 0, n), Ordering: when, Envelope: env, Body: []byte("{}")}
		l, err := Defaults().Compile()
		if err != nil {
			t.Fatal(err)
		}
		return l.Of(e).Object(event.Payload{ID: "x", Identity: "x", Body: []byte("{}")})
	}
	now, far, farther := at(1, time.Now()), at(2, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), at(3, time.UnixMilli(1<<62))
	for i, c := range []struct {
		mine, theirs Object
		want         Decision
	}{{far, now, Overwrite}, {now, far, Leave}, {farther, far, Overwrite}, {far, farther, Leave}} {
		if got := c.mine.Meta.Against(c.theirs.Meta); got != c.want {
			t.Errorf("%d: %v, want %v", i, got, c.want)
		}
	}
	if key := farther.Keys[0]; !strings.HasPrefix(key, "auth/9999-12-31T23:59:59Z-") {
		t.Errorf("its key is %s", key)
	}
}
