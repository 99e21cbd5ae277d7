package s3

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// send delivers bodies one after the other, each a newer event than the one before.
func send(t *testing.T, d destination.Destination, bodies ...string) {
	t.Helper()
	for n, body := range bodies {
		if r, err := d.Send(t.Context(), destinationtest.Delivery(t, n, []byte(body))); err != nil {
			t.Fatalf("send %d: %v, %+v", n, err, r)
		}
	}
}

const (
	dayUTC     = `{"type":"daily","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"n":%d,"metadata":{"start_time":"2026-03-12T00:00:00.000000+00:00"}}]}`
	dayNewYork = `{"type":"daily","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"n":%d,"metadata":{"start_time":"2026-03-11T19:00:00.000000-05:00"}}]}`
	activity   = `{"type":"activity","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"n":%d,"metadata":{"summary_id":"%s","start_time":"2026-03-12T06:00:00.5Z"}}]}`
	report     = `{"type":"lab_report.completed","event_id":"%s","creation_timestamp":"2026-03-12 07:00:00.1+00:00","data":{"n":%d}}`
)

// TestNothingUnrelatedIsOverwritten: what meets in one key is kept all the
// same, under keys that consumers can compute.
func TestNothingUnrelatedIsOverwritten(t *testing.T) {
	cases := []struct {
		name   string
		bodies []string
		want   map[string]string // body by key
	}{
		{
			"two lab reports in one second",
			[]string{fmt.Sprintf(report, "report-1", 1), fmt.Sprintf(report, "report-2", 2)},
			map[string]string{
				"lab_report.completed/2026-03-12T07:00:00Z-8f6decfb2530.json": fmt.Sprintf(report, "report-1", 1),
				"lab_report.completed/2026-03-12T07:00:00Z-45bba96e5b29.json": fmt.Sprintf(report, "report-2", 2),
			},
		},
		{
			"two days that are one instant",
			[]string{fmt.Sprintf(dayUTC, 1), fmt.Sprintf(dayNewYork, 2)},
			map[string]string{
				"2022-03-16/daily/u1-2026-03-12T00:00:00Z.json":              fmt.Sprintf(dayUTC, 1),
				"2022-03-16/daily/u1-2026-03-12T00:00:00Z-c6afdb90b9f8.json": fmt.Sprintf(dayNewYork, 2),
			},
		},
		{
			"a parent and its leg, both updated",
			[]string{fmt.Sprintf(activity, 1, "parent"), fmt.Sprintf(activity, 2, "leg"), fmt.Sprintf(activity, 3, "leg"), fmt.Sprintf(activity, 4, "parent")},
			map[string]string{
				"2022-03-16/activity/u1-2026-03-12T06:00:00Z.json":              fmt.Sprintf(activity, 4, "parent"),
				"2022-03-16/activity/u1-2026-03-12T06:00:00Z-c7c8fc91abb8.json": fmt.Sprintf(activity, 3, "leg"),
			},
		},
		{
			"several items of one event",
			[]string{`{"type":"sleep","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"metadata":{"summary_id":"a","start_time":"2026-03-12T01:00:00Z"}} , {"metadata":{"summary_id":"b","start_time":"2026-03-12T02:00:00Z"}},{"metadata":{"summary_id":"c","start_time":"2026-03-12T01:00:00Z"}}],"z":1}`},
			map[string]string{
				"2022-03-16/sleep/u1-2026-03-12T01:00:00Z.json":              `{"type":"sleep","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"metadata":{"summary_id":"a","start_time":"2026-03-12T01:00:00Z"}}],"z":1}`,
				"2022-03-16/sleep/u1-2026-03-12T02:00:00Z.json":              `{"type":"sleep","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"metadata":{"summary_id":"b","start_time":"2026-03-12T02:00:00Z"}}],"z":1}`,
				"2022-03-16/sleep/u1-2026-03-12T01:00:00Z-2e7d2c03a950.json": `{"type":"sleep","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"metadata":{"summary_id":"c","start_time":"2026-03-12T01:00:00Z"}}],"z":1}`,
			},
		},
		{
			"an object of somebody else counts as older",
			[]string{`{"type":"auth","user":{"user_id":"u1"},"creation_timestamp":"2026-03-12T07:00:00Z"}`},
			map[string]string{"auth/u1-2026-03-12T07:00:00Z.json": `{"type":"auth","user":{"user_id":"u1"},"creation_timestamp":"2026-03-12T07:00:00Z"}`},
		},
	}
	g := startGateway(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := g.bucket(t)
			f.put(t, "auth/u1-2026-03-12T07:00:00Z.json", "somebody's")
			d := openWith(t, f.config, plainDeps(t))
			for range 2 { // the second time is a replay: it must change nothing
				send(t, d, c.bodies...)
				got := f.all(t)
				if c.want["auth/u1-2026-03-12T07:00:00Z.json"] == "" {
					delete(got, "auth/u1-2026-03-12T07:00:00Z.json")
				}
				for key, body := range c.want {
					if string(got[key].body) != body {
						t.Errorf("%s: got %q, want %q", key, got[key].body, body)
					}
				}
				if len(got) != len(c.want) {
					t.Errorf("keys: %s", strings.Join(slices.Sorted(maps.Keys(got)), "\n"))
				}
			}
		})
	}
}

// TestAnOlderEventNeverReplacesANewer whatever order they come in.
func TestAnOlderEventNeverReplacesANewer(t *testing.T) {
	f := startGateway(t).bucket(t)
	d := openWith(t, f.config, plainDeps(t))
	for _, n := range []int{3, 1, 4, 2, 4} {
		if _, err := d.Send(t.Context(), destinationtest.Delivery(t, n, fmt.Appendf(nil, activity, n, "a"))); err != nil {
			t.Fatal(err)
		}
	}
	got := f.all(t)
	if o := got["2022-03-16/activity/u1-2026-03-12T06:00:00Z.json"]; len(got) != 1 || string(o.body) != fmt.Sprintf(activity, 4, "a") {
		t.Errorf("got %q of %d", o.body, len(got))
	}
}

// TestObjectsSayWhatTheyAre: metadata, type and encoding, as a consumer reads them.
func TestObjectsSayWhatTheyAre(t *testing.T) {
	g := startGateway(t)
	body := fmt.Sprintf(activity, 1, "a b/ü")
	want := map[string]string{
		"fantail-type":      "activity",
		"fantail-user":      "u1",
		"fantail-identity":  "a%20b/%C3%BC",
		"fantail-ordering":  "2026-07-01T09:12:34.123456Z",
		"fantail-event-id":  "019f1cf3-984b-7000-8000-000000000001",
		"fantail-index":     "0",
		"fantail-reference": "reference-1",
		"fantail-sha256":    "",
	}
	for _, zipped := range []bool{false, true} {
		f := g.bucket(t, func(c *Config) { c.Keys.Gzip = zipped })
		d := openWith(t, f.config, plainDeps(t))
		r, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(body)))
		if err != nil || r.Code != 200 || r.Answer != "1 stored" || r.Address == "" {
			t.Fatalf("%v, %+v", err, r)
		}
		o := f.all(t)["2022-03-16/activity/u1-2026-03-12T06:00:00Z.json"]
		if string(o.body) != body || o.typ != "application/json" || (o.encoding == "gzip") != zipped {
			t.Errorf("gzip %v: body %q, type %q, encoding %q", zipped, o.body, o.typ, o.encoding)
		}
		want["fantail-sha256"] = sum(body)
		if !maps.Equal(o.meta, want) {
			t.Errorf("gzip %v: metadata %v, want %v", zipped, o.meta, want)
		}
		if r, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(body))); err != nil || r.Answer != "1 there already or newer" {
			t.Errorf("a repeat: %v, %+v", err, r)
		}
	}
}

// TestContentItem: an item with its user, as some consumers parse it.
func TestContentItem(t *testing.T) {
	f := startGateway(t).bucket(t, func(c *Config) { c.Keys.Content, c.Keys.DefaultVersion = objectkey.ContentItem, "2022-03-16" })
	d := openWith(t, f.config, plainDeps(t))
	send(t, d, fmt.Sprintf(activity, 1, "a"), `{"type":"deauth","user":{"user_id":"u1"},"occurred_at":"2026-03-12T08:00:00+02:00"}`)
	got := f.all(t)
	for key, want := range map[string]string{
		"2022-03-16/activity/u1-2026-03-12T06:00:00Z.json": `{"n":1,"metadata":{"summary_id":"a","start_time":"2026-03-12T06:00:00.5Z"},"user":{"user_id":"u1"}}`,
		"2022-03-16/deauth/u1-2026-03-12T06:00:00Z.json":   `{"type":"deauth","user":{"user_id":"u1"},"occurred_at":"2026-03-12T08:00:00+02:00"}`,
	} {
		if string(got[key].body) != want {
			t.Errorf("%s: %q in %v", key, got[key].body, slices.Collect(maps.Keys(got)))
		}
	}
}
