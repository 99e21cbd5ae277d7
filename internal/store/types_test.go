package store

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

var accepted = event.NewID(time.Date(2026, 7, 1, 9, 12, 33, 0, time.UTC), 5, 0x1234567890abcdef)

func TestStatesHaveNames(t *testing.T) {
	for s, name := range map[State]string{Pending: "pending", Delivered: "delivered", Dead: "dead", Cancelled: "cancelled"} {
		if s.String() != name {
			t.Errorf("state %d is %q, want %q", s, s, name)
		}
		got, err := ParseState(name)
		if err != nil || got != s {
			t.Errorf("ParseState(%q) = %v, %v", name, got, err)
		}
		if b, err := json.Marshal(s); err != nil || string(b) != `"`+name+`"` {
			t.Errorf("in JSON %v is %s, %v", s, b, err)
		}
	}
}

func TestParseStateRefuses(t *testing.T) {
	for _, name := range []string{"", "Pending", " pending", "pending ", "1", "expired", "held", "dead\x00"} {
		if s, err := ParseState(name); err == nil || s != 0 {
			t.Errorf("ParseState(%q) = %v, %v", name, s, err)
		}
	}
}

func TestDeliveryIDRoundTrip(t *testing.T) {
	text := accepted.String()
	for _, c := range []struct {
		id   DeliveryID
		want string
	}{
		{DeliveryID{Day: accepted.Day(), Event: accepted, Dest: 1}, text + "_1"},
		{DeliveryID{Day: accepted.Day(), Event: accepted}, text + "_0"},
		{DeliveryID{Day: accepted.Day(), Event: accepted, Dest: math.MaxUint32}, text + "_4294967295"},
		{DeliveryID{Day: 7, Event: accepted, Dest: 12, Replay: 3}, text + "_12_3_7"},
		{DeliveryID{Day: accepted.Day(), Event: accepted, Dest: 12, Replay: 3}, text + "_12_3_20635"},
		{DeliveryID{Day: math.MaxUint16, Event: accepted, Dest: 1, Replay: math.MaxUint32}, text + "_1_4294967295_65535"},
	} {
		if got := c.id.String(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.id, got, c.want)
		}
		got, err := ParseDeliveryID(c.want)
		if err != nil || got != c.id {
			t.Errorf("ParseDeliveryID(%q) = %+v, %v; want %+v", c.want, got, err, c.id)
		}
		b, err := c.id.AppendText([]byte("> "))
		if err != nil || string(b) != "> "+c.want {
			t.Errorf("appended %q, %v", b, err)
		}
		if b, err := json.Marshal(c.id); err != nil || string(b) != `"`+c.want+`"` {
			t.Errorf("in JSON %s, %v", b, err)
		}
	}
}

// TestDeliveryIDIsCanonical: two texts that name one delivery would be two trace ids.
func TestDeliveryIDIsCanonical(t *testing.T) {
	text := accepted.String()
	for _, s := range []string{
		"", "_", text, text + "_", text + "_x", text + "_-1", text + "_+1", text + "_01", text + "_ 1", text + "_1 ", text + "_1_", text + "_1_2",
		text + "_1_2_3_4", text + "_1_0_7", text + "_1_02_7", text + "_1_2_07", text + "_1_2_65536", text + "_4294967296", text + "_1_4294967296_1",
		text + "_1_2_-1", strings.ToUpper(text) + "_1", text[1:] + "_1", "0" + text + "_1", "{" + text + "}_1", strings.ReplaceAll(text, "-", "") + "_1",
		text + "-1", text + "_1\x00", text + "_\u0661", "not-an-id_1", strings.Repeat("_", 3), strings.Repeat("9", 10_000) + "_1",
	} {
		if id, err := ParseDeliveryID(s); err == nil || id != (DeliveryID{}) {
			t.Errorf("ParseDeliveryID(%.60q) = %+v, %v", s, id, err)
		} else if len(err.Error()) > 20_000 {
			t.Errorf("%d bytes of error", len(err.Error()))
		}
	}
}

func FuzzParseDeliveryID(f *testing.F) {
	f.Add(accepted.String() + "_1")
	f.Add(accepted.String() + "_1_2_20635")
	f.Add("_1_0_0")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseDeliveryID(s)
		if err != nil {
			return
		}
		if id.String() != s {
			t.Errorf("%q was read as %q", s, id)
		}
		if id.Replay == 0 && id.Day != id.Event.Day() {
			t.Errorf("%q lies under day %d, its event under %d", s, id.Day, id.Event.Day())
		}
	})
}

func TestItemPosition(t *testing.T) {
	it := Item{ID: DeliveryID{Day: 9, Event: accepted, Dest: 4, Replay: 2}, Due: 77, Queue: QueueID{Dest: 4, Settings: 8}}
	if got, want := it.Position(), (Position{Due: 77, Event: accepted, Replay: 2}); got != want {
		t.Errorf("position %+v, want %+v", got, want)
	}
}

func TestErrorsTellApart(t *testing.T) {
	if !errors.Is(ErrCursor, ErrConflict) {
		t.Errorf("an unreadable cursor is no conflict")
	}
	for _, err := range []error{ErrNotFound, ErrIdempotencyMismatch, ErrFenced, ErrClosed} {
		if errors.Is(ErrCursor, err) || errors.Is(err, ErrConflict) {
			t.Errorf("%v is taken for another error", err)
		}
	}
	var err error = &Unavailable{Reason: "disk reserve reached", After: time.Second}
	var u *Unavailable
	if !errors.As(err, &u) || u.After != time.Second || err.Error() != "disk reserve reached" {
		t.Errorf("unavailable: %v", err)
	}
}
