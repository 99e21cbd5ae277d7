package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// A reload says what it does, and what it would do.
func TestReloadTellsItsPlan(t *testing.T) {
	h := newHome(t)
	for _, id := range []string{"acme", "globex", "umbrella", "initech", "hooli"} {
		h.developer(id, "one", "")
	}
	d := h.start()
	ctx := t.Context()
	if err := d.Pause(ctx, "umbrella", "app", ""); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d.send(t, "umbrella")
	}
	h.write("developers/acme.yaml", "developer: acme\ndestinations:\n  - { name: app, kind: post, settings: { to: one } }\n  - { name: new, kind: post, settings: { to: two } }\n")
	h.developer("globex", "two", "")
	h.write("developers/initech.yaml", "developer: [")
	h.write("developers/empty.yaml", "developer: empty\n")
	if err := os.Remove(filepath.Join(h.dir, "developers", "umbrella.yaml")); err != nil {
		t.Fatal(err)
	}
	const want = "+ acme/new, + empty, ~ globex/app (to), - umbrella (1 destination, 3 pending)"
	for _, dry := range []bool{true, false} {
		before := h.logged()
		done, err := d.Client.ReloadWith(ctx, client.ReloadOptions{DryRun: dry})
		e := refusedAs(t, err, "developers_refused")
		if plan(done.Plan) != want || !strings.Contains(e.Message, "initech.yaml:2: not YAML") || strings.HasPrefix(e.Message, "nothing was changed") != dry {
			t.Errorf("dry %v: %s, %v", dry, plan(done.Plan), e)
		}
		if d.ingest.Knows("umbrella") != dry || d.ingest.Knows("empty") == dry {
			t.Errorf("dry %v: took effect, or did not", dry)
		}
		if dry && h.logged() != before {
			t.Errorf("a dry run wrote to the log: %s", h.logged()[len(before):])
		}
	}
	if !strings.Contains(h.logged(), "~ globex/app (to)") {
		t.Error("the log does not have the plan")
	}
	if opened, closed := h.counts(); opened-closed != 6 { // of the five at first, globex is replaced and acme has one more; umbrella's goes when it is idle
		t.Logf("opened %d, closed %d", opened, closed)
	}
}

// A folder that is not mounted looks like everybody's departure.
func TestReloadDoesNotTakeAwayMuchUnasked(t *testing.T) {
	h := newHome(t)
	const all = 30
	for i := range all {
		h.developer(fmt.Sprintf("dev-%02d", i), "one", "")
	}
	d := h.start()
	ctx := t.Context()
	folder, aside := filepath.Join(h.dir, "developers"), filepath.Join(h.dir, "aside")
	if err := errors.Join(os.Rename(folder, aside), os.Mkdir(folder, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, reload := range []func() error{
		func() error { _, err := d.App.Reload(ctx); return err }, // as SIGHUP does
		func() error { _, err := d.Client.Reload(ctx); return err },
	} {
		err := reload()
		if err == nil || !strings.Contains(err.Error(), "30 of 30 developers, and 30 of 30 destinations") || !strings.Contains(err.Error(), "--allow-removal") || !d.ingest.Knows("dev-07") {
			t.Errorf("an empty folder: %v", err)
		}
		if value(t, d.App, "fantail_last_reload_success", "") != 0 {
			t.Error("fantail_last_reload_success is 1")
		}
		if _, warnings := d.Health(); len(warnings) != 1 || !strings.Contains(warnings[0], "the settings were not reloaded at ") {
			t.Errorf("warnings %q", warnings)
		}
	}
	if err := errors.Join(os.Remove(folder), os.Rename(aside, folder)); err != nil {
		t.Fatal(err)
	}
	remove := func(from, to int) {
		for i := from; i < to; i++ {
			if err := os.Remove(filepath.Join(folder, fmt.Sprintf("dev-%02d.yaml", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove(0, 3)
	done, err := d.Client.ReloadWith(ctx, client.ReloadOptions{})
	if err != nil || len(done.Plan) != 3 || value(t, d.App, "fantail_last_reload_success", "") != 1 || time.Now().Unix()-int64(value(t, d.App, "fantail_last_reload_seconds", "")) > 60 {
		t.Errorf("a tenth: %+v, %v", done, err)
	}
	remove(3, 7)
	_, err = d.Client.ReloadWith(ctx, client.ReloadOptions{})
	if e := refusedAs(t, err, "removal_not_allowed"); !strings.Contains(e.Message, "4 of 27 developers") {
		t.Errorf("more than a tenth: %v", e)
	}
	if done, err = d.Client.ReloadWith(ctx, client.ReloadOptions{AllowRemoval: true}); err != nil || len(done.Plan) != 4 || d.ingest.Knows("dev-05") {
		t.Errorf("allowed: %+v, %v", done, err)
	}
}

func TestHowMuchMayBeRemoved(t *testing.T) {
	gone := func(n, destinations int, more ...api.Step) []api.Step {
		for i := range n {
			more = append(more, api.Step{Do: api.StepRemove, Developer: fmt.Sprint(i), Destinations: destinations})
		}
		return more
	}
	come := api.Step{Do: api.StepAdd, Developer: "new", Destination: "app"}
	for name, c := range map[string]struct {
		plan                     []api.Step
		developers, destinations int
		allowed                  bool
	}{
		"nothing":                     {nil, 10, 10, true},
		"nothing of nobody":           {nil, 0, 0, true},
		"one of two":                  {gone(1, 1), 2, 2, true},
		"the only one":                {gone(1, 1), 1, 1, false},
		"the only one, and one comes": {gone(1, 1, come), 1, 1, true},
		"two of three":                {gone(2, 1), 3, 3, true},
		"three of four":               {gone(3, 1), 4, 4, false},
		"three of thirty":             {gone(3, 1), 30, 30, true},
		"three of twenty-nine":        {gone(3, 1), 29, 29, false},
		"all, and others come":        {gone(5, 1, come), 5, 5, false},
		"one with half of all":        {gone(1, 50), 100, 100, false},
		"one without destinations":    {gone(1, 0), 100, 100, true},
	} {
		err := judgeRemoval(c.plan, c.developers, c.destinations, false)
		if (err == nil) != c.allowed {
			t.Errorf("%s: %v", name, err)
		}
		if err := judgeRemoval(c.plan, c.developers, c.destinations, true); err != nil {
			t.Errorf("%s, allowed: %v", name, err)
		}
	}
}
