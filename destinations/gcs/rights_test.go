package gcs

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func TestACredentialThatMayOnlyCreateDeliversNewObjects(t *testing.T) {
	r := newRig(t, unchanged)
	r.Grant(account, gcptest.Create)
	first, second := made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)), made(t, 2, daily("u", "2026-07-02T00:00:00Z", 2))
	r.sends(first)
	r.sends(second)
	if n := r.Requests("GET /storage"); n != 0 {
		t.Errorf("it read %d times", n)
	}
	// What is there already can be neither told nor replaced: the others go on.
	err := r.fails(made(t, 3, daily("u", "2026-07-01T00:00:00Z", 3)), destination.Transient)
	if !strings.Contains(err.Error(), "Grant roles/storage.objectUser on gs://acme to "+account) {
		t.Errorf("%v does not say what to grant", err)
	}
	if !strings.Contains(string(r.Object("acme", raced).Content), `"steps":1`) {
		t.Error("it was replaced")
	}
}

func TestStale(t *testing.T) {
	for _, stale := range []string{staleOverwrite, staleFail} {
		r := newRig(t, func(c *Config) { c.Stale = stale })
		old, newer := made(t, 1, daily("u", "2026-07-01T00:00:00Z", 1)), made(t, 2, daily("u", "2026-07-01T00:00:00Z", 2))
		r.sends(newer)
		r.Grant(account, gcptest.Create, gcptest.Delete) // may not read
		if stale == staleOverwrite {
			r.sends(old)
			r.holds(map[string]string{raced: string(old.Event.Body)})
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
		{staleOverwrite, []string{gcptest.Create, gcptest.Get, gcptest.Delete}, "", false},
		{staleOverwrite, []string{gcptest.Create}, "roles/storage.objectViewer", true},
		{staleOverwrite, []string{gcptest.Create, gcptest.Get}, "roles/storage.objectUser", true},
		{staleOverwrite, []string{gcptest.Get, gcptest.Delete}, "Grant roles/storage.objectCreator", false},
		{staleFail, []string{gcptest.Create}, "roles/storage.objectViewer", false},
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
		if len(r.keys()) > 0 {
			t.Errorf("it left %q", r.keys())
		}
	}
}
