package config

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
)

// retryEntry is a schedule, exponential or as a list.
type retryEntry struct {
	Initial  *duration `yaml:"initial"`
	Factor   *float64  `yaml:"factor"`
	Retries  *int      `yaml:"retries"`
	Waits    *[]wait   `yaml:"waits"`
	Jitter   *float64  `yaml:"jitter"`
	Settings *string   `yaml:"settings"`
}

// wait is one entry of a list.
type wait duration

func (w *wait) UnmarshalText(b []byte) error {
	var d duration
	if err := d.UnmarshalText(b); err != nil {
		return err
	}
	if *w = wait(d); time.Duration(d) < minWait || time.Duration(d) > maxWait {
		return errors.New("must be from " + short(minWait) + " to " + short(maxWait))
	}
	return nil
}

// The default schedule (docs/CONFIGURATION.md) and the bounds of others. retentionMargin lies
// between the last retry and the end of retention, so that a delivery dies because its schedule
// has ended and not because its event is gone.
const (
	defaultInitial  = 30 * time.Second
	defaultFactor   = 3
	defaultRetries  = 8
	defaultJitter   = 0.1
	maxRetries      = 100
	maxFactor       = 100
	minWait         = time.Millisecond
	maxWait         = 720 * time.Hour
	retentionMargin = 24 * time.Hour
)

// schedule returns the waits of e, whether retries keep the settings of their
// first attempt, and whether waits were lengthened to what the operator allows.
func (b *binder) schedule(e *retryEntry, frozen bool, r *Rules) (s retry.Schedule, keep, hasty bool) {
	if e.Settings != nil {
		frozen = *e.Settings == "frozen"
		b.Require("retry.settings", frozen || *e.Settings == "current", "must be frozen (retries keep the settings of the first attempt) or current")
	}
	jitter := valueOr(e.Jitter, defaultJitter)
	b.Require("retry.jitter", jitter >= 0 && jitter <= 0.5, "must be from 0 to 0.5: 0.1 spreads each wait by 10 % either way")
	if e.Waits != nil {
		s = b.list(e, jitter)
	} else {
		s = b.exponential(e, jitter)
	}
	least := s.AtLeast(r.ShortestWait)
	hasty = !slices.Equal(s.Waits, least.Waits)
	if b.OK("retry") {
		b.lasts(least, &r.Keep)
	}
	return least, frozen, hasty
}

func (b *binder) list(e *retryEntry, jitter float64) retry.Schedule {
	if e.Initial != nil || e.Factor != nil || e.Retries != nil {
		b.At("retry", "waits stands alone: remove initial, factor and retries, or remove waits")
	}
	waits := *e.Waits
	b.Require("retry.waits", len(waits) > 0, "is empty: for no retries write retries: 0")
	b.Require("retry.waits", len(waits) <= maxRetries, "has more than "+strconv.Itoa(maxRetries)+" entries")
	s := retry.Schedule{Jitter: jitter}
	for _, w := range waits {
		s.Waits = append(s.Waits, time.Duration(w))
	}
	return s
}

func (b *binder) exponential(e *retryEntry, jitter float64) retry.Schedule {
	initial := time.Duration(valueOr(e.Initial, duration(defaultInitial)))
	factor := valueOr(e.Factor, defaultFactor)
	retries := valueOr(e.Retries, defaultRetries)
	b.between("retry.initial", initial, minWait, maxWait)
	b.Require("retry.factor", factor >= 1 && factor <= maxFactor, "must be from 1 to 100")
	b.Require("retry.retries", retries >= 0 && retries <= maxRetries, "must be from 0 to 100")
	if !b.OK("retry") {
		return retry.Schedule{}
	}
	s := retry.Exponential(initial, factor, retries, jitter)
	if n := len(s.Waits); n > 0 && s.Waits[n-1] > maxWait {
		b.At("retry", "the last wait is longer than %s: lower retries, factor or initial", short(maxWait))
	}
	return s
}

// lasts refuses a schedule that takes longer than the daemon keeps events and keys.
func (b *binder) lasts(s retry.Schedule, keep *Retention) {
	horizon := s.Horizon()
	if keep.Events != 0 && horizon+retentionMargin > keep.Events {
		b.At("retry", "the schedule lasts %s; with the 24h to spare that it needs, that is longer than retention.events of fantail.yaml, %s: shorten it, or lengthen retention.events",
			short(horizon.Round(time.Second)), short(keep.Events))
	}
	if horizon >= keep.Idempotency {
		b.At("retry", "the schedule lasts %s, longer than idempotency of fantail.yaml, %s: shorten it, or lengthen idempotency",
			short(horizon.Round(time.Second)), short(keep.Idempotency))
	}
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
