package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
)

func newStoreCopy(e *env) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Copy the whole store into a store of the other kind",
		Long: `Copies everything from the store of some settings to that of others: from the
embedded store to PostgreSQL, or back. Events, bodies, deliveries, attempts,
counters, idempotency keys, destinations, settings, documents and the trail keep
their ids and versions; what an erasure has reached stays erased.

No daemon may work on either side: stop it first. Both settings must have the same
keys. The target must be empty: a database (its schema is made), or a folder that
does not exist. A copy that was interrupted, by whatever, goes on where it was
when the same command runs again.

At the end every delivery is counted again on both sides, and every record is read
back and compared. From then on no daemon starts on the store that was copied
from, because it would deliver everything twice: "fantail store release" lets one.

Payloads (payloads.dir, a bucket) are not in the store: see docs/STORES.md.`,
		Example: `  fantail store copy --from fantail.yaml --to fantail-postgres.yaml
  fantail serve --config fantail-postgres.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || to == "" {
				return usagef("give both --from and --to: the settings of the store to copy, and of the one to copy it to")
			}
			return e.copyStore(cmd.Context(), from, to)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "settings of the daemon whose store is copied")
	cmd.Flags().StringVar(&to, "to", "", "settings of the daemon that goes on with the copy")
	for _, flag := range []string{"from", "to"} {
		_ = cmd.MarkFlagFilename(flag, "yaml", "yml")
	}
	return cmd
}

func newStoreRelease(e *env) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Let a daemon work again on a store that was copied",
		Long: `After "fantail store copy" no daemon starts on the store that was copied from:
what is pending there is pending in the copy as well, and would be delivered twice.
Where nothing works on the copy, because it was a trial or is given up, this lets
a daemon start here again. It also gives up a copy that was interrupted; remove what
it has left in the target.`,
		Example: `  fantail store release --config fantail.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			snapshot, err := config.Load(path, e.kinds)
			if snapshot == nil {
				return err
			}
			side := e.copySide(&snapshot.Daemon, true)
			s, err := side.Open(cmd.Context())
			if err != nil {
				return fmt.Errorf("open %s: %w", side.Name, err)
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if err := copying.Release(cmd.Context(), s); err != nil {
				return err
			}
			if e.json {
				return e.printJSON(map[string]string{"released": side.Name})
			}
			_, err = fmt.Fprintf(e.out, "A daemon may work on %s again.\n", clean(side.Name))
			return err
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func (e *env) copyStore(ctx context.Context, from, to string) error {
	source, err := config.Load(from, e.kinds)
	if source == nil {
		return fmt.Errorf("--from: %w", err)
	}
	target, err := config.Load(to, e.kinds)
	if target == nil {
		return fmt.Errorf("--to: %w", err)
	}
	if source.Daemon.Store.Shared() == target.Daemon.Store.Shared() {
		return errors.New("both settings name the same kind of store: one must have store.postgres, the other store.pebble")
	}
	for _, side := range []*config.Snapshot{source, target} {
		if p := side.Daemon.Store.Postgres; p != nil && len(p.More) > 0 {
			return errors.New("store.postgres.more names further primaries: a store of several databases cannot be copied")
		}
	}
	what := []byte("a copy")
	if source.Keys.Fingerprint(what) != target.Keys.Fingerprint(what) {
		return errors.New("the keys of both settings differ: what is sealed in the store can be opened with its own key alone, so give the target the same keys, or the same key file")
	}
	o := copying.Options{From: e.copySide(&source.Daemon, true), To: e.copySide(&target.Daemon, false), Now: e.now}
	if o.By, err = e.act("copyStore", o.From.Name+" to "+o.To.Name); err != nil {
		return err
	}
	o.Room = func(from, to copying.Store) error { return e.copyRoom(ctx, &target.Daemon, from, to) }
	line := e.progress()
	defer line.clear()
	o.Show = (&copyProgress{line: line, env: e}).show
	o.Waits = e.copyWaits
	rep, err := copying.Run(ctx, o)
	if err != nil {
		return err
	}
	line.clear()
	if e.json {
		return e.printJSON(map[string]any{"from": o.From.Name, "to": o.To.Name, "resumed": rep.Resumed, "records": rep.Records, "events": rep.Events,
			"deliveries": rep.Deliveries, "attempts": rep.Attempts, "bytes": rep.Bytes, "destinations": rep.Audited})
	}
	_, err = fmt.Fprintf(e.out, `Copied %s with %s and %s.
  from  %s
  to    %s
Checked: the counters of %s agree with a new count on both sides, and each of %s was read back and compared.
Start the daemon with "fantail serve --config %s". None starts on the store that was copied from.
`, count(int(rep.Events), "event"), deliveries(rep.Deliveries), count(int(rep.Attempts), "attempt"), clean(o.From.Name), clean(o.To.Name),
		count(rep.Audited, "destination"), count(int(rep.Records), "record"), clean(to))
	return err
}

// copyWaits says at once why nothing moves: a daemon that was killed is known to be gone when its
// lease is over, and one that runs has to be stopped.
func (e *env) copyWaits(w copying.Wait) {
	fmt.Fprintf(e.err, "%s on %s: %s. Waiting up to %v for the leases of those that were killed; stop those that run.\n",
		count(len(w.Daemons), "daemon"), clean(w.Side), clean(strings.Join(w.Daemons, ", ")), w.Most)
}

func deliveries(n int64) string { return count(int(n), "delivery") }

// copySide opens the store of a daemon for a copy. One that is copied from must be there.
func (e *env) copySide(d *config.Daemon, source bool) copying.Side {
	log := slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if !d.Store.Shared() {
		return copying.Side{Name: "the embedded store in " + d.Store.Pebble.Dir, Open: func(context.Context) (copying.Store, error) {
			if _, err := os.Stat(d.Store.Pebble.Dir); source && err != nil {
				return nil, fmt.Errorf("no store is there: %w", err)
			}
			s, err := pebblestore.Open(d.Store.Pebble.Dir, pebblestore.Options{Log: log, Reserve: d.Store.Pebble.Reserve, Copying: true})
			if err != nil {
				return nil, fmt.Errorf("%w (is the daemon stopped?)", err)
			}
			return s, nil
		}}
	}
	name := "the database"
	if u, err := url.Parse(d.Store.Postgres.URLs[0].Reveal()); err == nil {
		name = "PostgreSQL at " + u.Host + u.Path
	}
	o := pgstore.Options{URLs: d.Store.Postgres.URLs, Connections: d.Store.Postgres.Connections, Log: log, Copying: true}
	return copying.Side{Name: name, Open: func(ctx context.Context) (copying.Store, error) {
		if !source {
			if _, err := pgstore.Migrate(ctx, o); err != nil {
				return nil, err
			}
		}
		return pgstore.Open(ctx, o)
	}}
}

// A store takes about as many times the space of the other kind.
const (
	postgresByEmbedded = 5
	embeddedByPostgres = 1
)

// copyRoom refuses a copy that would fill the disk, and says how much a database will need.
func (e *env) copyRoom(ctx context.Context, target *config.Daemon, from, to copying.Store) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(10 * time.Second); from.Stats().Bytes == 0 && time.Now().Before(until); { // a database is measured after the start
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	have := from.Stats().Bytes
	if target.Store.Shared() {
		if !e.json {
			fmt.Fprintf(e.err, "The database will need about %s. How much its disk has free is not known here.\n", size(have*postgresByEmbedded))
		}
		return nil
	}
	need, free := have*embeddedByPostgres+target.Store.Pebble.Reserve, to.Stats().DiskFree
	if free > 0 && free < need {
		return fmt.Errorf("the disk of %s has %s free, and the copy may need %s with store.pebble.reserve: make room, or name another disk", target.Store.Pebble.Dir, size(free), size(need))
	}
	return nil
}

// copyProgress words how far a copy is.
type copyProgress struct {
	line  *progress
	env   *env
	phase copying.Phase
	began time.Time
	first copying.Progress
	told  time.Time
}

// tellEvery is how often a copy says how far it is where there is no terminal.
const tellEvery = 30 * time.Second

func (c *copyProgress) show(phase copying.Phase, p copying.Progress) {
	now := c.env.now()
	if c.phase != phase {
		c.phase, c.began, c.first, c.told = phase, now, p, now
	}
	text := c.text(p, now.Sub(c.began))
	if c.line.w != nil {
		c.line.show("%s", text)
	} else if now.Sub(c.told) >= tellEvery && !c.env.json {
		c.told = now
		fmt.Fprintln(c.env.err, text)
	}
}

// text has the rate since the phase began, and what is left at that rate.
func (c *copyProgress) text(p copying.Progress, took time.Duration) string {
	if c.phase == copying.Auditing {
		return fmt.Sprintf("%s: %d rows, %s", c.phase, p.Records, span(took))
	}
	done, of, noun := p.Deliveries, c.first.Deliveries, "deliveries"
	if p.Total == 0 {
		done, of, noun = p.Records, c.first.Records, "records"
	}
	text := fmt.Sprintf("%s: %d %s", c.phase, done, noun)
	if p.Total > 0 {
		text = fmt.Sprintf("%s: %d of %d %s", c.phase, done, p.Total, noun)
	}
	if took < time.Second || done == of {
		return text
	}
	rate := float64(done-of) / took.Seconds()
	text += fmt.Sprintf(", %.0f/s", rate)
	if left := p.Total - done; left > 0 {
		text += fmt.Sprintf(", %s left", span(time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second)))
	}
	return text
}
