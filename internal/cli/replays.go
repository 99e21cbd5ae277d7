package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newReplayList(e *env) *cobra.Command {
	var developer string
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "See replays, newest first",
		Long:    "Lists the replays that run and the last ones that have ended.",
		Example: "  fantail replay list --developer acme",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit %d: want at least 1", limit)
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			return printList(e, c.Replays(cmd.Context(), developer, limit+1), limit,
				[]column{
					{head: "ID"}, {head: "STATE"}, {head: "DESTINATION", least: 12}, {head: "STATES", least: 6, drop: 2}, {head: "CREATED", least: 20, drop: 1},
					{head: "FOUND"}, {head: "MADE"}, {head: "PENDING"}, {head: "GONE", drop: 3}, {head: "NOTE", least: 12, fold: true},
				}, e.replayRow, "No replays.")
		},
	}
	cmd.Flags().StringVar(&developer, "developer", "", "only replays of this developer's events")
	cmd.Flags().IntVar(&limit, "limit", 50, "print at most so many")
	return cmd
}

func (e *env) replayRow(p client.Replay) []string {
	note := p.Waiting + p.Error
	if p.DryRun {
		note = strings.TrimSpace("dry run " + note)
	}
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{n(int64(p.ID)), p.State, aim(p), strings.Join(p.States, ","),
		e.moment(p.Created), n(p.Found), n(p.Made), n(p.Pending), n(p.Gone), cut(note, 100)}
}

func newReplayShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "See one replay",
		Long:    "Shows what a replay is for and how far it is.",
		Example: "  fantail replay show 3",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, c, err := e.replayID(args[0])
			if err != nil {
				return err
			}
			p, err := c.GetReplay(cmd.Context(), id)
			if err != nil {
				return err
			}
			return e.printReplay(p)
		},
	}
}

func newReplayCancel(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "cancel ID",
		Short:   "End a replay",
		Long:    "Ends a replay. The deliveries that it has made already still go out.",
		Example: "  fantail replay cancel 3",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, c, err := e.replayID(args[0])
			if err != nil {
				return err
			}
			p, err := c.CancelReplay(cmd.Context(), id)
			if err != nil {
				return err
			}
			if e.json {
				return e.printJSON(p)
			}
			fmt.Fprintln(e.out, sumReplay(p))
			return nil
		},
	}
}

func (e *env) replayID(s string) (uint32, *client.Client, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, nil, usagef("%q is not the ID of a replay, such as 3", s)
	}
	c, err := e.client()
	return uint32(id), c, err
}

func (e *env) printReplay(p client.Replay) error {
	if e.json {
		return e.printJSON(p)
	}
	when := func(shown bool, s string) string {
		if shown {
			return s
		}
		return ""
	}
	return e.facts(
		[2]string{"replay", strconv.FormatUint(uint64(p.ID), 10)},
		[2]string{"state", p.State}, [2]string{"waiting", p.Waiting}, [2]string{"error", p.Error},
		[2]string{"destination", aim(p)},
		[2]string{"states", strings.Join(p.States, ", ")}, [2]string{"types", strings.Join(p.Types, ", ")}, [2]string{"users", strings.Join(p.Users, ", ")},
		[2]string{"since", when(!p.Since.IsZero(), e.moment(p.Since))}, [2]string{"until", e.moment(p.Until)},
		[2]string{"rate", fmt.Sprintf("%g/s", p.Rate)}, [2]string{"dry run", when(p.DryRun, "yes")},
		[2]string{"by", p.By}, [2]string{"created", e.moment(p.Created)}, [2]string{"ended", when(!p.Ended.IsZero(), e.moment(p.Ended))},
		[2]string{"found", strconv.FormatInt(p.Found, 10)}, [2]string{"made", strconv.FormatInt(p.Made, 10)},
		[2]string{"pending", strconv.FormatInt(p.Pending, 10)}, [2]string{"gone", strconv.FormatInt(p.Gone, 10)},
	)
}

// aim is the destination that a replay is for. "*" stands for all, because no name has one.
func aim(p client.Replay) string { return or(p.Developer, "*") + "/" + or(p.Destination, "*") }
