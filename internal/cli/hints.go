package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/suggest"
)

// meant are words that other programs have commands for, and the commands here that do the same.
var meant = map[string]string{
	"list":    `"fantail destinations", "fantail deliveries" and "fantail events" list`,
	"ls":      `"fantail destinations", "fantail deliveries" and "fantail events" list`,
	"get":     `"fantail destinations", "fantail deliveries ID" and "fantail events ID" show`,
	"show":    `"fantail destinations", "fantail deliveries ID" and "fantail events ID" show`,
	"status":  `"fantail destinations" says how destinations are, "fantail audit" what became of everything`,
	"ps":      `"fantail destinations" says how destinations are, "fantail audit" what became of everything`,
	"stats":   `"fantail audit" counts, and /metrics of the daemon is for Prometheus`,
	"metrics": `/metrics of the daemon is for Prometheus, "fantail audit" counts`,
	"logs":    `"fantail deliveries ID" shows every attempt and answer; the daemon's own log is where it was started (journalctl -u fantail)`,
	"log":     `"fantail deliveries ID" shows every attempt and answer; the daemon's own log is where it was started (journalctl -u fantail)`,
	"listen":  `"fantail receive" receives events and verifies them, "fantail serve" runs the daemon`,
	"start":   `"fantail serve" runs the daemon`,
	"run":     `"fantail serve" runs the daemon`,
	"stop":    `end the daemon with SIGTERM (systemctl stop fantail): nothing is lost`,
	"config":  `"fantail validate" checks the settings, "fantail reload" takes them over`,
	"delete":  `"fantail erase" erases a user, "fantail cancel" ends deliveries; destinations are removed in the settings`,
	"redrive": `"fantail retry" tries deliveries again, "fantail replay" events`,
	"resend":  `"fantail retry" tries deliveries again, "fantail replay" events`,
}

// checkStates refuses a --state that does not exist before anything is done. It goes by the states
// that completion offers.
func checkStates(cmd *cobra.Command) error {
	flag := cmd.Flags().Lookup("state")
	offer, ok := cmd.GetFlagCompletionFunc("state")
	if flag == nil || !flag.Changed || !ok {
		return nil
	}
	offered, _ := offer(cmd, nil, "")
	given := []string{flag.Value.String()}
	if many, ok := flag.Value.(interface{ GetSlice() []string }); ok {
		given = many.GetSlice()
	}
	for _, state := range given {
		if !slices.Contains(offered, state) {
			return usagef("--state %q: %s", state, suggest.Some(state, offered))
		}
	}
	return nil
}
