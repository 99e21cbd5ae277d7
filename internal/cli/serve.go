package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/app"
	"github.com/seed-51f8da91/fantail/internal/build"
)

func newServe(e *env) *cobra.Command {
	var path, level, format, profile string
	var acceptLoss bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Runs the daemon until it gets SIGINT or SIGTERM. Then it takes no new events,
lets attempts under way end within shutdown_grace, and stops: no attempt is
burned and nothing accepted is lost. A second signal ends it at once, which
loses nothing either, but attempts under way are made again.

SIGHUP reads the settings again, as does "fantail reload".`,
		Example: `  fantail serve --config fantail.yaml
  fantail serve --config /etc/fantail/fantail.yaml --log-format json
  fantail serve --config fantail.yaml --accept-loss     after the daemon said that its log is damaged`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := e.logger(level, format)
			if err != nil {
				return err
			}
			defer takeProcessLog(log)()
			if profile != "" {
				stop, err := serveProfiles(cmd.Context(), profile, log)
				if err != nil {
					return err
				}
				defer stop()
			}
			built := build.Read()
			a, err := app.New(cmd.Context(), app.Options{
				Config: path, Kinds: e.kinds, Log: log, Version: built.Version, Commit: built.Commit, Date: built.Time, AcceptLoss: acceptLoss,
			})
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(cmd.Context())
			defer stop()
			go reloadOnHangup(ctx, a, log)
			return a.Run(ctx)
		},
	}
	f := c.Flags()
	f.StringVarP(&path, "config", "c", "fantail.yaml", "settings of the daemon")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&format, "log-format", "text", "text or json")
	f.BoolVar(&acceptLoss, "accept-loss", false, "start although the store's log is damaged: what cannot be read is moved aside and reported")
	f.StringVar(&profile, "pprof", "", "serve Go profiles on this loopback address, such as 127.0.0.1:6060")
	return c
}

func (e *env) logger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level %q: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(e.err, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(e.err, o)), nil
	}
	return nil, usagef("--log-format %q: want text or json", format)
}

func reloadOnHangup(ctx context.Context, a *app.App, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-hangup:
			_, err := a.ReloadForSignal(ctx)
			if _, partly := errors.AsType[*api.Refused](err); err != nil && !partly { // the log names those that it refused
				log.Error("the settings were not reloaded; the daemon goes on with the old ones", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// serveProfiles serves net/http/pprof apart from the API. Profiles show what the process holds in
// memory, so that only this machine may ask.
func serveProfiles(ctx context.Context, addr string, log *slog.Logger) (stop func(), err error) {
	if host, _, err := net.SplitHostPort(addr); err != nil || !net.ParseIP(host).IsLoopback() {
		return nil, usagef("--pprof %q: want a loopback address and a port, such as 127.0.0.1:6060", addr)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for --pprof: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l) //nolint:errcheck // it always ends with ErrServerClosed, by stop
	log.Info("profiles are served", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	return func() { server.Close() }, nil
}
