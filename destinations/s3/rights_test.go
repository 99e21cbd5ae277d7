package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

const activityKey = "2022-03-16/activity/u1-2026-03-12T06:00:00Z.json"

// TestAWriteOnlyCredentialReplacesNothingUnrelated: what is new has its key, what
// finds it taken the one with the item's suffix, and only under that a version of
// the same item is replaced unseen. Receipt and check say so.
func TestAWriteOnlyCredentialReplacesNothingUnrelated(t *testing.T) {
	f := startGateway(t).bucket(t)
	f.allow(t, "s3:PutObject")
	d := openWith(t, f.config, plainDeps(t))
	for _, c := range []struct {
		n         int
		id, want  string
		unguarded int
	}{
		{0, "parent", "1 stored", 0},
		{1, "leg", "1 stored under the key with the item's suffix", 1},
		{2, "leg", "1 stored, but reading is denied", 1},
		{3, "parent", "1 stored under the key with the item's suffix", 1},
		{4, "parent", "1 stored, but reading is denied", 1},
	} {
		r, err := d.Send(t.Context(), destinationtest.Delivery(t, c.n, fmt.Appendf(nil, activity, c.n, c.id)))
		if err != nil || !strings.HasPrefix(r.Answer, c.want) || r.Unguarded != c.unguarded {
			t.Errorf("event %d: %v, %+v; want %q", c.n, err, r, c.want)
		}
	}
	stem := strings.TrimSuffix(activityKey, ".json")
	f.holds(t, map[string]string{
		activityKey:                               fmt.Sprintf(activity, 0, "parent"),
		stem + "-c7c8fc91abb8.json":               fmt.Sprintf(activity, 2, "leg"),
		stem + "-" + sum("parent")[:12] + ".json": fmt.Sprintf(activity, 4, "parent"),
	})
	err := d.Check(t.Context())
	if _, ok := errors.AsType[destination.Remark](err); !ok || !strings.Contains(err.Error(), "Grant s3:GetObject on arn:aws:s3:::"+f.name+"/*") || !strings.Contains(err.Error(), "lands under a second key") {
		t.Errorf("check: %v", err)
	}
}

// TestAWriteOnlyCredentialWithOtherLayouts: which key is the item's own depends on
// what the layout tells apart.
func TestAWriteOnlyCredentialWithOtherLayouts(t *testing.T) {
	g := startGateway(t)
	for layout, want := range map[string][]string{
		// The payload's id is in every key: a repeat finds its own.
		"{type}/{id}.json": {"*"},
		// Equal identities of several users meet under the short suffix.
		"{start}.json": {"2026-03-12T06:00:00Z.json", "2026-03-12T06:00:00Z-" + sum("a")[:12] + ".json", "2026-03-12T06:00:00Z-" + sum("activity u1 a") + ".json"},
	} {
		f := g.bucket(t, func(c *Config) { c.Keys.Layout = layout })
		f.allow(t, "s3:PutObject")
		d := openWith(t, f.config, plainDeps(t))
		for range 5 {
			send(t, d, fmt.Sprintf(activity, 1, "a"))
		}
		all := f.all(t)
		if len(all) != len(want) {
			t.Errorf("%s: %d objects, want %d", layout, len(all), len(want))
		}
		for _, key := range want {
			if key != "*" && string(all[key].body) != fmt.Sprintf(activity, 1, "a") {
				t.Errorf("%s: no %s", layout, key)
			}
		}
	}
}

// holds expects exactly these bodies, by key.
func (f *far) holds(tb testing.TB, want map[string]string) {
	tb.Helper()
	got := f.all(tb)
	for key, body := range want {
		if string(got[key].body) != body {
			tb.Errorf("%s holds %q, want %q", key, got[key].body, body)
		}
	}
	if len(got) != len(want) {
		tb.Errorf("the bucket holds %q", slices.Sorted(maps.Keys(got)))
	}
}

func TestStaleFailReplacesNothingUnseen(t *testing.T) {
	f := startGateway(t).bucket(t, func(c *Config) { c.Keys.Stale = objectkey.StaleFail })
	f.allow(t, "s3:PutObject")
	d := openWith(t, f.config, plainDeps(t))
	send(t, d, fmt.Sprintf(activity, 0, "a"))
	_, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, fmt.Appendf(nil, activity, 1, "a")))
	if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "grant s3:GetObject") {
		t.Errorf("got %v, %v", class, err)
	}
	if o := f.all(t)[activityKey]; string(o.body) != fmt.Sprintf(activity, 0, "a") {
		t.Errorf("it was replaced by %s", o.body)
	}
	if class, _ := destination.ClassOf(d.Check(t.Context())); class != destination.Misconfigured {
		t.Errorf("check: %v", d.Check(t.Context()))
	}
	f.allow(t, everything...)
	if _, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, fmt.Appendf(nil, activity, 1, "a"))); err != nil {
		t.Errorf("with the right to read: %v", err)
	}
	if err := d.Check(t.Context()); err != nil {
		t.Errorf("check with all rights: %v", err)
	}
}

// TestAServiceWithoutConditions: it says 501 once, and is not asked again.
func TestAServiceWithoutConditions(t *testing.T) {
	f := startGateway(t).bucket(t)
	net, deps := tapped(t)
	net.before = func(req *http.Request) *http.Response {
		if req.Method == http.MethodPut && conditional(req) {
			return answer(http.StatusNotImplemented, "NotImplemented")
		}
		return nil
	}
	d := openWith(t, f.config, deps)
	for i, c := range []struct {
		n        int
		id       string
		requests string
		answer   string
	}{
		{2, "parent", "HEAD @, PUT @, HEAD @, PUT @", "1 stored without a condition"},
		{1, "parent", "HEAD @", "1 there already or newer"},
		{3, "leg", "HEAD @, HEAD @-leg, PUT @-leg", "1 stored without a condition"},
		{4, "parent", "HEAD @, PUT @", "1 stored without a condition"},
	} {
		r, err := d.Send(t.Context(), destinationtest.Delivery(t, c.n, fmt.Appendf(nil, activity, c.n, c.id)))
		if err != nil || !strings.HasPrefix(r.Answer, c.answer) {
			t.Errorf("event %d: %v, %+v", i, err, r)
		}
		stem := strings.TrimSuffix(activityKey, ".json")
		got := strings.NewReplacer(stem+"-c7c8fc91abb8.json", "@-leg", activityKey, "@").Replace(net.requests())
		if got != c.requests {
			t.Errorf("event %d: requests %s, want %s", i, got, c.requests)
		}
	}
	if o := f.all(t)[activityKey]; string(o.body) != fmt.Sprintf(activity, 4, "parent") {
		t.Errorf("it holds %s", o.body)
	}
	if err := openWith(t, f.config, deps).Check(t.Context()); !strings.Contains(fmt.Sprint(err), "knows no conditional writes") {
		t.Errorf("check: %v", err)
	}
	f.config.Keys.Stale = objectkey.StaleFail
	strict := openWith(t, f.config, deps)
	_, err := strict.Send(t.Context(), destinationtest.Delivery(t, 5, fmt.Appendf(nil, activity, 5, "a")))
	for _, err := range []error{err, strict.Check(t.Context())} {
		if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !errors.Is(err, objectkey.ErrUnconditional) {
			t.Errorf("stale: fail: %v", err)
		}
	}
}

// TestCheckReadsBackWhatItWrites, and takes away what it may.
func TestCheckReadsBackWhatItWrites(t *testing.T) {
	f := startGateway(t).bucket(t, func(c *Config) { c.Keys.Layout = "terra/{type}/{id}.json" })
	net, deps := tapped(t)
	d := openWith(t, f.config, deps)
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
	// The second and third put are on conditions that forbid them: some services store them.
	want := strings.ReplaceAll("PUT @, PUT @, PUT @, GET @, DELETE @", "@", "terra/fantail-check.json")
	if got := net.requests(); got != want {
		t.Errorf("requests: %s", got)
	}
	for _, c := range []struct {
		allowed []string
		want    string // "" : nil
		left    int
	}{
		{nil, "grant s3:PutObject", 0},
		{[]string{"s3:GetObject"}, "grant s3:PutObject", 0},
		{everything, "", 0},
		{[]string{"s3:PutObject"}, "it cannot be seen whether what is stored comes back", 1},
		{[]string{"s3:PutObject", "s3:GetObject"}, "the check leaves terra/fantail-check.json in the bucket: grant s3:DeleteObject on arn:aws:s3:::" + f.name + "/terra/fantail-check.json", 1},
		{everything, "", 0}, // also what an earlier one left
	} {
		f.allow(t, c.allowed...)
		if err := d.Check(t.Context()); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %v: %v", c.allowed, err)
		}
		if n := len(f.all(t)); n != c.left {
			t.Errorf("with %v: it left %d objects", c.allowed, n)
		}
	}
	f.put(t, "terra/fantail-check.json", "{}") // of an older version
	if err := d.Check(t.Context()); err != nil || len(f.all(t)) > 0 {
		t.Errorf("over another probe: %v, %d objects", err, len(f.all(t)))
	}
}

// TestCheckSeesThatNothingComesBack: answers that word every success as S3 does
// are not enough.
func TestCheckSeesThatNothingComesBack(t *testing.T) {
	for name, c := range map[string]struct {
		get  *http.Response
		says string
	}{
		"nothing":        {answer(http.StatusNotFound, "NoSuchKey"), "is not there when it is read"},
		"something else": {&http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"1"`}}, Body: io.NopCloser(strings.NewReader("{}"))}, "comes back as something else"},
		"no S3":          {answer(http.StatusFound, ""), "captive portal"},
	} {
		t.Run(name, func(t *testing.T) {
			f := startGateway(t).bucket(t)
			net, deps := tapped(t)
			net.before = func(req *http.Request) *http.Response {
				if req.Method == http.MethodGet {
					r := *c.get
					body, _ := io.ReadAll(c.get.Body)
					c.get.Body, r.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
					return &r
				}
				return nil
			}
			err := openWith(t, f.config, deps).Check(t.Context())
			if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v", class, err)
			}
		})
	}
}
