// Package build knows what this program was built from: version, commit and date, however it was built.
package build

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// module is ours, also in a program of others that was built with destination kinds of their own.
const module = "github.com/seed-51f8da91/fantail"

// A release is built with -ldflags=-X for these (packaging/release): its sources lie in no checkout
// that go would ask, and may be those of an archive.
var version, commit, date string

// Info is what the program was built from. What nobody told is "".
type Info struct {
	Version  string `json:"version"` // such as "v0.1.0"; of a checkout between releases one with its time and commit, or "dev"
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // the checkout had changes that were not committed
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339, UTC
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Read tells what this program was built from.
func Read() Info {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		b = nil
	}
	return read(b, Info{Version: version, Commit: commit, Time: date})
}

// read takes what the linker was given, and else what the toolchain found out by itself: in a checkout,
// or from the version of a module by which `go install` names a commit.
func read(b *debug.BuildInfo, told Info) Info {
	told.Go, told.Platform = runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
	if told.Version != "" {
		return told
	}
	told.Version = "unknown"
	if b == nil {
		return told
	}
	ours := &b.Main
	for _, d := range b.Deps {
		if d.Path == module {
			ours = d
		}
	}
	switch told.Version = ours.Version; told.Version {
	case "", "(devel)":
		told.Version = "dev" // it stands in a User-Agent, where parentheses mean a comment
	default:
		told.Commit, told.Time = pseudo(told.Version)
	}
	if ours != &b.Main {
		return told // the settings are those of the other program's checkout
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			told.Commit = s.Value
		case "vcs.modified":
			told.Modified = s.Value == "true"
		case "vcs.time":
			told.Time = s.Value
		}
	}
	return told
}

// A pseudo-version of a module ends with the time of the commit and the first of its digits:
// https://go.dev/ref/mod#pseudo-versions
var pseudoVersion = regexp.MustCompile(`^v\d+\.\d+\.\d+-(?:[0-9A-Za-z.-]+\.)?(\d{14})-([0-9a-f]{12})(?:\+[0-9A-Za-z.-]+)?$`)

func pseudo(version string) (commit, date string) {
	m := pseudoVersion.FindStringSubmatch(version)
	if m == nil {
		return "", ""
	}
	at, err := time.Parse("20060102150405", m[1])
	if err != nil {
		return m[2], ""
	}
	return m[2], at.Format(time.RFC3339)
}

// Line is the version, with commit and date as far as they are known, on one line.
func (i Info) Line() string {
	var more []string
	if i.Commit != "" {
		more = append(more, "commit "+i.Commit[:min(len(i.Commit), 12)])
	}
	if i.Modified {
		more = append(more, "changed")
	}
	if day, _, ok := strings.Cut(i.Time, "T"); ok {
		more = append(more, day)
	}
	if len(more) == 0 {
		return i.Version
	}
	return i.Version + " (" + strings.Join(more, ", ") + ")"
}

// UserAgent is what a daemon of that version calls itself where it delivers: a product and its version
// (RFC 9110, section 10.1.5), which has no v before it.
func UserAgent(version string) string { return "Fantail/" + strings.TrimPrefix(version, "v") }
