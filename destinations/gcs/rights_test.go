package gcs

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestACredentialThatMayOnlyCreateDeliversNewObjects: a later version of an item
// lands under the second key, and what neither may be read nor replaced waits.
func TestACredentialThatMayOnlyCreateDeliversNewObjects(t *testing.T) {
	r := newRig(t, unchanged)
	r.Grant(account, gcptest.Create)
	versions := []destination.Delivery{made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)), made(t, 3, daily("u", "2026-07-01T00:00:00Z", 3))}
	r.sends(versions[0])
	r.sends(made(t, 2, daily("u", "2026-07-02T00:00:00Z", 2)))
	if n := r.Requests("GET /storage"); n != 0 {
		t.Errorf("it read %d times", n)
	}
	if got := r.sends(versions[1]); got.Unguarded != 1 || !strings.Contains(got.Answer, "1 stored under the key with the item's suffix") {
		t.Errorf("the receipt is %+v", got)
	}
	want := map[string]string{
		raced:                         string(versions[0].Event.Body),
		suffixed(raced, "2026-07-01"): string(versions[1].Event.Body),
		"2022-03-16/daily/u-2026-07-02T00:00:00Z.json": daily("u", "2026-07-02T00:00:00Z", 2),
	}
	r.holds(want)
	err := r.fails(made(t, 4, daily("u", "2026-07-01T00:00:00Z", 4)), destination.Transient)
	if !strings.Contains(err.Error(), "Grant roles/storage.objectUser on gs://acme to "+account) {
		t.Errorf("%v does not say what to grant", err)
	}
	r.holds(want)
}

func suffixed(key, identity string) string {
	return strings.TrimSuffix(key, ".json") + suffix(identity) + ".json"
}

// TestStale: what may be replaced but not read keeps its key, whatever it is;
// under the item's own key the setting says.
func TestStale(t *testing.T) {
	for _, stale := range []string{objectkey.StaleOverwrite, objectkey.StaleFail} {
		r := newRig(t, func(c *Config) { c.Stale = stale })
		old, newer := made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)), made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2))
		r.sends(newer)
		r.Grant(account, gcptest.Create, gcptest.Delete) // may not read
		if stale == objectkey.StaleOverwrite {
			r.sends(newer)
			if got := r.sends(old); got.Unguarded != 1 || !strings.Contains(got.Answer, "a newer version of the item may have been replaced") {
				t.Errorf("the receipt is %+v", got)
			}
			r.holds(map[string]string{raced: string(newer.Event.Body), suffixed(raced, "2026-07-01"): string(old.Event.Body)})
			continue
		}
		err := r.fails(old, destination.Misconfigured)
		if !strings.Contains(err.Error(), "roles/storage.objectUser") {
			t.Errorf("%v does not say what to grant", err)
		}
		r.holds(map[string]string{raced: string(newer.Event.Body)})
	}
}

func TestOneThatMayReadButNotReplaceSaysSo(t *testing.T) {
	r := newRig(t, unchanged)
	r.sends(made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)))
	r.Grant(account, gcptest.Create, gcptest.Get)
	r.sends(made(t, 0, daily("u", "2026-07-01T00:00:00Z", 0))) // an older one needs no replacing
	err := r.fails(made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2)), destination.Transient)
	if !strings.Contains(err.Error(), "Grant roles/storage.objectUser") {
		t.Errorf("%v does not say what to grant", err)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		stale  string
		rights []string
		want   string // in the text; "": sound
		remark bool
	}{
		{objectkey.StaleOverwrite, []string{gcptest.Create, gcptest.Get, gcptest.Delete}, "", false},
		{objectkey.StaleOverwrite, []string{gcptest.Create}, "lands under a second key", true},
		{objectkey.StaleOverwrite, []string{gcptest.Create}, "roles/storage.objectViewer", true},
		{objectkey.StaleOverwrite, []string{gcptest.Create, gcptest.Get}, "roles/storage.objectUser", true},
		{objectkey.StaleOverwrite, []string{gcptest.Create, gcptest.Get}, "the check leaves fantail-check.json", true},
		{objectkey.StaleOverwrite, []string{gcptest.Get, gcptest.Delete}, "Grant roles/storage.objectCreator", false},
		{objectkey.StaleFail, []string{gcptest.Create}, "roles/storage.objectViewer", false},
	} {
		r := newRig(t, func(x *Config) { x.Stale = c.stale })
		r.Grant(account, c.rights...)
		err := r.Destination.(destination.Checker).Check(t.Context())
		if c.want == "" {
			if err != nil {
				t.Errorf("%v: %v", c.rights, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.rights, err, c.want)
		}
		if _, remark := errors.AsType[destination.Remark](err); remark != c.remark {
			t.Errorf("%v: %v is a remark: %v", c.rights, err, remark)
		}
		if class, _ := destination.ClassOf(err); (class == destination.Misconfigured) == c.remark {
			t.Errorf("%v: %v is %v", c.rights, err, class)
		}
		left := len(r.keys())
		if stays := c.remark && !slices.Contains(c.rights, gcptest.Delete); (left > 0) != stays {
			t.Errorf("%v: it left %q", c.rights, r.keys())
		}
	}
}
