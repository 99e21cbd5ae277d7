package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Long:  `Prints the version of this binary, the commit it was built from, and what it was built with. The daemon need not run.`,
		Example: `  fantail version
  fantail version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if e.json {
				return e.printJSON(b)
			}
			commit := b.Commit
			if b.Modified {
				commit += ", with changes that are not committed"
			}
			return e.facts([2]string{"fantail", b.Version}, [2]string{"commit", commit},
				[2]string{"built", b.Time}, [2]string{"with", b.Go + " for " + b.Platform})
		},
	}
}

type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readBuild reads what the toolchain has written into the binary.
func readBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	switch v := info.Main.Version; v {
	case "":
	case "(devel)":
		b.Version = "dev" // it stands in a User-Agent, where parentheses mean a comment
	default:
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs.time":
			b.Time = s.Value
		}
	}
	return b
}

// userAgent is what the daemon of this binary calls itself.
func userAgent() string { return "Fantail/" + readBuild().Version }
