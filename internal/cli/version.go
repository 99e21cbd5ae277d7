package cli

import (
	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/build"
)

func newVersion(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Long:  `Prints the version of this binary, the commit it was built from and its time, and what it was built with. The daemon need not run.`,
		Example: `  fantail version
  fantail version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build.Read()
			if e.json {
				return e.printJSON(b)
			}
			commit := b.Commit
			if b.Modified {
				commit += ", with changes that are not committed"
			}
			return e.facts([2]string{"fantail", b.Version}, [2]string{"commit", commit},
				[2]string{"committed", b.Time}, [2]string{"with", b.Go + " for " + b.Platform})
		},
	}
}

// userAgent is what the daemon of this binary calls itself.
func userAgent() string { return build.UserAgent(build.Read().Version) }
