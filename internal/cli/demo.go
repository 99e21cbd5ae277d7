package cli

import (
	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/build"
	"github.com/seed-51f8da91/fantail/internal/demo"
)

func newDemo(e *env) *cobra.Command {
	var keep, corrupt bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job on real input, in a few seconds",
		Long: `Starts the daemon on its embedded store in a temporary folder, with two sample
developers and four local webhook receivers: two are healthy, one fails twice
and then recovers, one hangs for ever. Sends every sample event to both
developers, shows what is delivered and retried, and recounts everything.

The receivers check each signature and each byte with code of their own. The
command fails when anything does not add up; --corrupt-secret proves it.`,
		Example: `  fantail demo
  fantail demo --keep                 go on, to look around in the console
  fantail demo --corrupt-secret       must fail: one receiver holds another secret`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.json {
				return usagef("demo shows a picture and has no JSON: leave --json out, or use --keep and ask the daemon, as with \"fantail audit --json\"")
			}
			return demo.Run(cmd.Context(), demo.Options{
				Out: e.out, Live: e.outTerminal, Kinds: e.kinds, Version: build.Read().Version, Keep: keep, Corrupt: corrupt,
			})
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "go on with an event a second until Ctrl-C, and say where the console is")
	c.Flags().BoolVar(&corrupt, "corrupt-secret", false, "give one receiver another secret: the demo must then fail")
	return c
}
