package event_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

const eventID = "019f1c2e-8c00-7000-8000-0123456789ab"

func TestPayloadIDsAreReadInOneFormOnly(t *testing.T) {
	for text, index := range map[string]int{eventID: -1, eventID + "-0": 0, eventID + "-499": 499, eventID + "-item": -1, eventID + "-7-item": 7} {
		id, err := event.ParsePayloadID(text)
		if err != nil || id.Index != index || id.Item != strings.HasSuffix(text, "-item") || id.Event.String() != eventID || id.String() != text {
			t.Errorf("%s: %+v, %v", text, id, err)
		}
	}
	for _, text := range []string{
		"", "x", eventID[:35], eventID + "-", eventID + "-01", eventID + "-+1", eventID + "--1", eventID + "-1x", eventID + "0",
		eventID + "-4294967296", eventID + "/..", "019F1C2E-8C00-7000-8000-0123456789AB", eventID + "-1\n",
		eventID + "-item-item", eventID + "-item-1", eventID + "item", "-item", eventID + "-Item", eventID + "--item",
	} {
		if id, err := event.ParsePayloadID(text); err == nil {
			t.Errorf("%q is read as %+v", text, id)
		}
	}
}

func TestKeysLieUnderTheDayOfTheEventAndCannotLeaveIt(t *testing.T) {
	id := event.NewID(time.Date(2026, 7, 1, 23, 59, 59, 999e6, time.UTC), 1, 2).String()
	k, err := event.PayloadKeyOf("acme", id+"-3")
	if want := "2026-07-01/acme/" + id + "-3.json"; err != nil || k.String() != want {
		t.Fatalf("%s, %v; want %s", k, err, want)
	}
	if back, ok := event.ParsePayloadKey(k.String()); !ok || back != k {
		t.Errorf("read back as %+v, %v", back, ok)
	}
	for _, developer := range []string{"", ".", "..", "../acme", "a/b", "a\\b", ".acme", "a\x00", "é", "a b"} {
		if k, err := event.PayloadKeyOf(developer, id); err == nil {
			t.Errorf("developer %q has the key %s", developer, k)
		}
	}
	for _, path := range []string{
		"", "/", "2026-07-01", "2026-07-01/acme", "2026-07-01/acme/", "2026-07-01/acme/" + id, "2026-07-02/acme/" + id + ".json",
		"2026-7-1/acme/" + id + ".json", "2026-07-01/../acme/" + id + ".json", "2026-07-01/acme/x/" + id + ".json",
		"tmp/acme/" + id + ".json", "2026-07-01//" + id + ".json", "2026-07-01/acme/" + id + ".json/", "2026-07-01/acme/" + id + ".json.json",
	} {
		if k, ok := event.ParsePayloadKey(path); ok {
			t.Errorf("%q is read as %s", path, k)
		}
	}
}
