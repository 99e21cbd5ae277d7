package gcs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func suffix(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return "-" + hex.EncodeToString(sum[:])[:12]
}

func activity(user, summary, start string) string {
	return fmt.Sprintf(`{"type":"activity","version":"2022-03-16","user":{"user_id":%q},"data":[{"metadata":{"summary_id":%q,"start_time":%q}}]}`, user, summary, start)
}

func daily(user, start string, steps int) string {
	return fmt.Sprintf(`{"type":"daily","version":"2022-03-16","user":{"user_id":%q},"data":[{"metadata":{"start_time":%q},"steps":%d}]}`, user, start, steps)
}

// TestNothingUnrelatedIsOverwritten: what has one key by the names of the
// contract, but is not the same, is all kept.
func TestNothingUnrelatedIsOverwritten(t *testing.T) {
	lab := func(id string) string {
		return fmt.Sprintf(`{"type":"lab_report.completed","event_id":%q,"data":{"id":%q}}`, id, id)
	}
	parent, leg := activity("u", "parent", "2026-03-12T06:00:00Z"), activity("u", "leg", "2026-03-12T07:00:00.9+01:00")
	berlin, london := daily("u", "2026-07-01T01:00:00+02:00", 1), daily("u", "2026-06-30T23:00:00+00:00", 2)
	item := func(summary, start string) string {
		return fmt.Sprintf(`{"metadata":{"summary_id":%q,"start_time":%q}}`, summary, start)
	}
	several := func(items ...string) string {
		return `{"type":"sleep","version":"2022-03-16","user":{"user_id":"u"},"data":[` + strings.Join(items, ",") + `]}`
	}
	for _, c := range []struct {
		name   string
		events []string
		want   map[string]string
	}{
		{"two lab reports in one second", []string{lab("a"), lab("b")}, map[string]string{
			"lab_report.completed/2026-07-01T09:12:33Z" + suffix("a") + ".json": lab("a"),
			"lab_report.completed/2026-07-01T09:12:33Z" + suffix("b") + ".json": lab("b"),
		}},
		{"a parent and its leg", []string{parent, leg}, map[string]string{
			"2022-03-16/activity/u-2026-03-12T06:00:00Z.json":                      parent,
			"2022-03-16/activity/u-2026-03-12T06:00:00Z" + suffix("leg") + ".json": leg,
		}},
		{"a leg and its parent", []string{leg, parent}, map[string]string{
			"2022-03-16/activity/u-2026-03-12T06:00:00Z.json":                         leg,
			"2022-03-16/activity/u-2026-03-12T06:00:00Z" + suffix("parent") + ".json": parent,
		}},
		{"two days that are one instant", []string{berlin, london}, map[string]string{
			"2022-03-16/daily/u-2026-06-30T23:00:00Z.json":                             berlin,
			"2022-03-16/daily/u-2026-06-30T23:00:00Z" + suffix("2026-06-30") + ".json": london,
		}},
		{"several items of one event", []string{several(item("a", "2026-07-01T00:00:00Z"), item("b", "2026-07-01T00:00:00Z"), item("c", "2026-07-02T00:00:00Z"))}, map[string]string{
			"2022-03-16/sleep/u-2026-07-01T00:00:00Z.json":                    several(item("a", "2026-07-01T00:00:00Z")),
			"2022-03-16/sleep/u-2026-07-01T00:00:00Z" + suffix("b") + ".json": several(item("b", "2026-07-01T00:00:00Z")),
			"2022-03-16/sleep/u-2026-07-02T00:00:00Z.json":                    several(item("c", "2026-07-02T00:00:00Z")),
		}},
		{"a path as a user", []string{activity("../../x", "s", "2026-03-12T06:00:00Z")}, map[string]string{
			"2022-03-16/activity/%2E%2E%2F%2E%2E%2Fx-2026-03-12T06:00:00Z.json": activity("../../x", "s", "2026-03-12T06:00:00Z"),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, unchanged)
			for range 3 { // retries change nothing
				for n, body := range c.events {
					r.sends(made(t, n, body))
				}
			}
			r.holds(c.want)
		})
	}
}

// TestTheNewestWins: whatever the order of arrival, and however often.
func TestTheNewestWins(t *testing.T) {
	const key = "2022-03-16/daily/u-2026-07-01T00:00:00Z.json"
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 2, 1, 0}} {
		r := newRig(t, unchanged)
		newest := -1
		for _, n := range order {
			r.sends(made(t, n, daily("u", "2026-07-01T00:00:00Z", n)))
			newest = max(newest, n)
			r.holds(map[string]string{key: daily("u", "2026-07-01T00:00:00Z", newest)})
		}
	}
}

func TestAnObjectThatIsNotOursIsReplaced(t *testing.T) {
	const key = "2022-03-16/daily/u-2026-07-01T00:00:00Z.json"
	r := newRig(t, unchanged)
	r.seed(key, "old", nil)
	d := made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1))
	r.sends(d)
	r.holds(map[string]string{key: string(d.Event.Body)})
}

func TestWhatAnObjectCarries(t *testing.T) {
	r := newRig(t, func(c *Config) { c.StorageClass = "NEARLINE" })
	d := made(t, 1, activity("u", "s", "2026-03-12T06:00:00Z"))
	receipt := r.sends(d)
	if receipt.Code != 200 || receipt.Address != strings.TrimPrefix(r.URL, "http://") || receipt.Answer != "1 stored" {
		t.Errorf("the receipt is %+v", receipt)
	}
	o := r.Objects(t, "acme")["2022-03-16/activity/u-2026-03-12T06:00:00Z.json"]
	sum := sha256.Sum256(d.Event.Body)
	for name, want := range map[string]string{
		"fantail-identity": "s", "fantail-event-id": d.Event.ID.String(), "fantail-reference": "r", "fantail-user": "u", "fantail-type": "activity",
		"fantail-ordering": "2026-07-01T09:12:33.001000Z", "fantail-sha256": hex.EncodeToString(sum[:]),
	} {
		if o.Metadata[name] != want {
			t.Errorf("%s is %q, want %q", name, o.Metadata[name], want)
		}
	}
	if o.ContentType != "application/json" || o.ContentEncoding != "" || o.StorageClass != "NEARLINE" {
		t.Errorf("%+v", o.ObjectAttrs)
	}
	x, err := r.Destination.(destination.Explainer).Explain(d)
	if err != nil || x.Key != o.Name || x.Body != string(o.Content) || x.Target != "gs://acme" || x.Headers.Get("X-Goog-Meta-Fantail-Identity") != "s" || x.Headers.Get("X-Goog-Storage-Class") != "NEARLINE" {
		t.Errorf("explained as %+v, %v", x, err)
	}
}

func TestExplainNamesTheFirstOfSeveral(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Gzip, c.Content = true, objectkey.ContentItem })
	d := made(t, 1, large(3))
	x, err := r.Destination.(destination.Explainer).Explain(d)
	if err != nil || x.Target != "gs://acme, the first of 3 objects" || !strings.HasPrefix(x.Body, `{"metadata"`) || x.Headers.Get("Content-Encoding") != "gzip" {
		t.Errorf("%+v, %v", x, err)
	}
}
