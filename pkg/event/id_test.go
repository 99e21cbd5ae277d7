package event_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

var accepted = time.Date(2026, 7, 1, 9, 12, 33, 891_999_999, time.UTC)

func TestIDSortsByTimeThenOrder(t *testing.T) {
	var ids []event.ID
	for ms := range 3 {
		for _, order := range []uint16{0, 1, 255, 256, 0xffe, 0xfff} {
			ids = append(ids, event.NewID(accepted.Add(time.Duration(ms)*time.Millisecond), order, rand.Uint64()))
		}
	}
	ids = append(ids, event.NewID(accepted.AddDate(200, 0, 0), 0, 0))
	for i := 1; i < len(ids); i++ {
		a, b := ids[i-1], ids[i]
		if string(a[:]) >= string(b[:]) || a.String() >= b.String() {
			t.Errorf("%s is not before %s", a, b)
		}
	}
}

func TestIDTellsWhatItWasMadeOf(t *testing.T) {
	for _, random := range []uint64{0, 1, 1<<64 - 1, rand.Uint64()} {
		for _, order := range []uint16{0, 0x0abc, 0xffff} {
			id := event.NewID(accepted, order, random)
			if !id.Time().Equal(accepted.Truncate(time.Millisecond)) || id.Time().Location() != time.UTC {
				t.Errorf("%s: %s", id, id.Time())
			}
			if id.Order() != order&0xfff {
				t.Errorf("%s: order %x, want %x", id, id.Order(), order)
			}
			if id.Day() != event.DayOf(accepted) || id.IsZero() {
				t.Errorf("%s: day %d", id, id.Day())
			}
			u, err := uuid.Parse(id.String())
			if err != nil || u.Version() != 7 || u.Variant() != uuid.RFC4122 || u != uuid.UUID(id) {
				t.Errorf("%s is not a UUIDv7: %s %v", id, u, err)
			}
		}
	}
	if a, b := event.NewID(accepted, 1, 1), event.NewID(accepted, 1, 2); a == b {
		t.Error("the random bits do not count")
	}
}

func TestIDRoundTripsThroughText(t *testing.T) {
	id := event.NewID(accepted, 7, rand.Uint64())
	if got, err := event.ParseID(id.String()); err != nil || got != id {
		t.Errorf("%s %v", got, err)
	}
	b, err := json.Marshal(map[event.ID]event.ID{id: id})
	if err != nil {
		t.Fatal(err)
	}
	var back map[event.ID]event.ID
	if err := json.Unmarshal(b, &back); err != nil || back[id] != id {
		t.Errorf("%s %v %v", b, back, err)
	}
}

func TestParseIDRefusesAnythingElse(t *testing.T) {
	const good = "019f1cfd-c003-7abc-8123-456789abcdef"
	if _, err := event.ParseID(good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "0", good[1:], good + "0", " " + good[1:], good[:35] + " ", strings.ToUpper(good), "{" + good + "}",
		strings.ReplaceAll(good, "-", ""), strings.ReplaceAll(good, "-", "_"), "urn:uuid:" + good, good[:8] + "0" + good[9:],
		good[:35] + "g", "019f1cfd-c003-7abc-8123-456789abcde\x00", good[:34] + "é", "..-f1cfd-c003-7abc-8123-456789abcdef",
	} {
		if id, err := event.ParseID(bad); err == nil || !id.IsZero() {
			t.Errorf("%q is %s", bad, id)
		}
	}
}

func TestDays(t *testing.T) {
	midnight := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	if got := event.DayOf(midnight); !got.Start().Equal(midnight) || event.DayOf(midnight.Add(-1)) != got-1 || event.DayOf(midnight.Add(24*time.Hour-1)) != got {
		t.Errorf("%d starts at %s", got, got.Start())
	}
	if event.DayOf(time.Unix(0, 0)) != 0 || event.Day(65535).Start().Year() != 2149 {
		t.Error("the ends of the range")
	}
}

func TestOlderComparesOrderingThenID(t *testing.T) {
	early, late := event.NewID(accepted, 1, 0), event.NewID(accepted, 2, 0)
	tests := []struct {
		name string
		e, f event.Event
		want bool
	}{
		{"by ordering", event.Event{ID: late, Ordering: accepted}, event.Event{ID: early, Ordering: accepted.Add(1)}, true},
		{"by ordering, the other way", event.Event{ID: early, Ordering: accepted.Add(1)}, event.Event{ID: late, Ordering: accepted}, false},
		{"by id", event.Event{ID: early, Ordering: accepted}, event.Event{ID: late, Ordering: accepted.In(time.FixedZone("", 3600))}, true},
		{"itself", event.Event{ID: early, Ordering: accepted}, event.Event{ID: early, Ordering: accepted}, false},
	}
	for _, tt := range tests {
		if got := tt.e.Older(&tt.f); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("019f1cfd-c003-7abc-8123-456789abcdef")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := event.ParseID(s); err == nil && id.String() != s {
			t.Fatalf("%q reads as %s", s, id)
		}
	})
}
