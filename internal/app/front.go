package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/console"
	"github.com/seed-51f8da91/fantail/internal/inbound"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/session"
	"github.com/seed-51f8da91/fantail/internal/store"
)

func (a *App) buildAPI(ctx context.Context, d *config.Daemon) error {
	sessions, err := session.Open(ctx, a.store, time.Now())
	if err != nil {
		return err
	}
	if a.console, err = console.New(); err != nil {
		return err
	}
	o := api.Options{
		Ingest: a.ingest, Pace: &ingest.Pace{Behind: a.scheduler.Pace, Most: d.Limits.Lag}, Scheduler: a.scheduler, Store: a.store, Usage: a.store, Series: a.series, Eraser: a.store, Daemon: a, Documents: a, Replays: a.replays, Checks: a.checks, Trail: a.trail, Sessions: sessions, Settings: a, Queues: a.store, Trace: a.tracer,
		Metrics:    promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{}),
		Registerer: a.metrics, Log: a.log,
		Tokens: tokens(d), Daemons: a.daemons(), Listen: d.Listen, Brand: d.Brand, Version: a.version, Egress: egress(d),
		MaxBody: d.Limits.Body, BodyRate: d.Limits.BodyRate, Memory: d.Limits.InFlightBytes,
		Catalogue: a.catalogue, Outside: inbound.Outside, Console: a.console,
	}
	if a.peers != nil {
		o.Peers = a.peers
	}
	if a.payloads != nil { // an interface that holds a nil pointer is not nil
		o.Payloads = a.payloads
	}
	if a.files != nil && d.Payloads.Dir.Listen == "" {
		o.Files = a.files
	}
	a.api, err = api.New(o)
	return err
}

// followConsole has the pages look as the settings say.
func (a *App) followConsole(c config.Console) {
	a.api.SetConsole(c)
	if err := a.console.SetLook(console.Look{Name: c.Name, Logo: c.Logo, Accent: c.Accent, Ancestors: c.FrameAncestors}); err != nil {
		a.log.Warn("the console lacks something of its look", "error", err)
	}
}

func tokens(d *config.Daemon) []api.Token {
	var ts []api.Token
	for _, t := range d.Tokens {
		ts = append(ts, api.NewToken(t.Name, t.Value, t.May, t.Developers).AtRate(t.Rate))
	}
	return ts
}

func egress(d *config.Daemon) api.Egress {
	e := api.Egress{Proxy: !d.Egress.Proxy.IsZero()}
	for _, addr := range d.Egress.Source {
		e.Source = append(e.Source, addr.String())
	}
	return e
}

// Names returns the destinations ever registered.
func (a *App) Names() *api.Names { return a.current.Load().names }

// Limits returns the bounds that are in force: those that developers' files are
// judged by follow a reload, the others wait for the next start.
func (a *App) Limits() config.Limits {
	l, now := a.started.Limits, a.current.Load().snapshot.Daemon.Limits.PerDeveloper
	l.PerDeveloper.Destinations, l.PerDeveloper.ShortestWait = now.Destinations, now.ShortestWait
	return l
}

// Backup writes a consistent copy of the store to dir.
func (a *App) Backup(ctx context.Context, dir string) error {
	began := time.Now()
	err := a.store.Backup(ctx, dir)
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%s: %w", dir, fs.ErrExist)
	}
	if err == nil {
		a.backedUp(began)
	}
	return err
}

// Health returns why the daemon cannot take events now, and what someone should
// look at all the same.
func (a *App) Health() (problems, warnings []string) {
	cur := a.current.Load()
	warnings = append(warnings, cur.problems...)
	if w := a.reloads.warning(); w != "" {
		warnings = append(warnings, w)
	}
	for _, key := range needRestart(a.started, &cur.snapshot.Daemon) {
		warnings = append(warnings, "the setting "+key+" was changed and takes effect at the next start")
	}
	if a.stopping.Load() {
		problems = append(problems, "stopping")
	}
	if err := a.store.Ready(); err != nil {
		problems = append(problems, err.Error())
	}
	warnings = append(warnings, a.differences()...)
	if a.storeWarnings != nil {
		warnings = append(warnings, a.storeWarnings()...)
	}
	held := 0
	for _, s := range a.scheduler.Status() {
		if s.State == "held" {
			held++
		}
	}
	if a.payloads != nil {
		if since, reason := a.payloads.Down(); reason != nil {
			warnings = append(warnings, fmt.Sprintf("the payload store fails since %s, and deliveries that link to payloads wait: %v", since.UTC().Format(time.RFC3339), reason))
		}
	}
	if held > 0 {
		warnings = append(warnings, fmt.Sprintf("held destinations: %d, see `fantail destinations`", held))
	}
	return problems, warnings
}

// serverLog passes on what net/http has to say, which is mostly the noise of
// scanners, as debug lines.
func serverLog(l *slog.Logger) *log.Logger { return log.New(lineLog{l}, "", 0) }

type lineLog struct{ *slog.Logger }

var _ io.Writer = lineLog{}

func (l lineLog) Write(b []byte) (int, error) {
	l.Debug("http server", "says", strings.TrimSpace(string(b)))
	return len(b), nil
}
