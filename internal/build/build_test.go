package build

import (
	"runtime/debug"
	"testing"
)

// TestReadTellsVersionCommitAndDate: however the program was built.
func TestReadTellsVersionCommitAndDate(t *testing.T) {
	checkout := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-11-30T20:16:00Z"}}
	changed := append([]debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}, checkout...)
	for name, c := range map[string]struct {
		main     string
		deps     []*debug.Module
		settings []debug.BuildSetting
		told     Info
		want     string
		agent    string
	}{
		"release":                    {main: "(devel)", told: Info{Version: "v0.1.0", Commit: "0123456789abcdef", Time: "2026-11-30T20:16:00Z"}, want: "v0.1.0 (commit 0123456789ab, 2026-11-30)", agent: "Fantail/0.1.0"},
		"release in a checkout":      {main: "v0.2.0+dirty", settings: changed, told: Info{Version: "v0.1.0", Commit: "77"}, want: "v0.1.0 (commit 77)", agent: "Fantail/0.1.0"},
		"go install of a version":    {main: "v0.1.0", want: "v0.1.0", agent: "Fantail/0.1.0"},
		"go install of a commit":     {main: "v0.1.1-0.20261130201600-dddc4ad0dead", want: "v0.1.1-0.20261130201600-dddc4ad0dead (commit dddc4ad0dead, 2026-11-30)", agent: "Fantail/0.1.1-0.20261130201600-dddc4ad0dead"},
		"go install before any tag":  {main: "v0.0.0-20261130201600-dddc4ad0dead", want: "v0.0.0-20261130201600-dddc4ad0dead (commit dddc4ad0dead, 2026-11-30)", agent: "Fantail/0.0.0-20261130201600-dddc4ad0dead"},
		"go build in a checkout":     {main: "v0.1.1-0.20261130201600-0123456789ab+dirty", settings: changed, want: "v0.1.1-0.20261130201600-0123456789ab+dirty (commit 0123456789ab, changed, 2026-11-30)", agent: "Fantail/0.1.1-0.20261130201600-0123456789ab+dirty"},
		"go build at a tag":          {main: "v0.1.0", settings: checkout, want: "v0.1.0 (commit 0123456789ab, 2026-11-30)", agent: "Fantail/0.1.0"},
		"go build without git":       {main: "(devel)", want: "dev", agent: "Fantail/dev"},
		"a prerelease is no commit":  {main: "v0.1.0-rc.1", want: "v0.1.0-rc.1", agent: "Fantail/0.1.0-rc.1"},
		"a program of somebody else": {main: "v9.0.0", settings: changed, deps: []*debug.Module{{Path: "example.com/other", Version: "v3.0.0"}, {Path: module, Version: "v0.1.0"}}, want: "v0.1.0", agent: "Fantail/0.1.0"},
	} {
		got := read(&debug.BuildInfo{Main: debug.Module{Path: module, Version: c.main}, Deps: c.deps, Settings: c.settings}, c.told)
		if got.Line() != c.want || UserAgent(got.Version) != c.agent || got.Go == "" || got.Platform == "" {
			t.Errorf("%s: %+v is %q and %q, want %q and %q", name, got, got.Line(), UserAgent(got.Version), c.want, c.agent)
		}
	}
	if got := read(nil, Info{}); got.Version != "unknown" {
		t.Errorf("a program that tells nothing: %+v", got)
	}
}
