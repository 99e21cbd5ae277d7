package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// interval is the pair of flags --since and --until.
type interval struct{ since, until string }

func (i *interval) flags(cmd *cobra.Command, what string) {
	f := cmd.Flags()
	f.StringVar(&i.since, "since", "", what+" at or after: a time ago (90s, 6h, 2d) or a moment (2026-07-01, 2026-07-01T09:00:00Z)")
	f.StringVar(&i.until, "until", "", what+" before: as --since")
}

// read returns both ends; the zero time where there is none.
func (i *interval) read(now time.Time) (since, until time.Time, err error) {
	for _, end := range []struct {
		flag, text string
		into       *time.Time
	}{{"--since", i.since, &since}, {"--until", i.until, &until}} {
		if end.text == "" {
			continue
		}
		if *end.into, err = parseWhen(end.text, now); err != nil {
			return since, until, usagef("%s: %w", end.flag, err)
		}
	}
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return since, until, usagef("--since (%s) is not before --until (%s)", since.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	return since, until, nil
}

// parseWhen reads a time, or a duration before now.
func parseWhen(s string, now time.Time) (time.Time, error) {
	if d, ok := parseSpan(s); ok {
		return now.Add(-d).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration (90s, 6h, 2d) nor a moment (2026-07-01, 2026-07-01T09:00:00Z)", s)
}

// parseSpan reads a Go duration that may begin with weeks and days: 1w, 2d, 1d12h.
func parseSpan(s string) (time.Duration, bool) {
	m := regexp.MustCompile(`^(?:(\d{1,4})w)?(?:(\d{1,5})d)?(.*)$`).FindStringSubmatch(s)
	if m == nil || s == "" {
		return 0, false
	}
	weeks, _ := strconv.Atoi(m[1])
	days, _ := strconv.Atoi(m[2])
	d := time.Duration(7*weeks+days) * 24 * time.Hour
	if m[3] != "" {
		rest, err := time.ParseDuration(m[3])
		if err != nil || rest < 0 || d+rest < d {
			return 0, false
		}
		d += rest
	}
	return d, true
}
