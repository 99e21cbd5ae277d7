package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
)

// front is one address that the daemon listens on.
type front struct {
	name     string
	server   *http.Server
	listener net.Listener
	secure   bool
}

func (f *front) url() string {
	if f.secure {
		return "https://" + f.listener.Addr().String()
	}
	return "http://" + f.listener.Addr().String()
}

func (f *front) serve() error {
	err := f.server.Serve(f.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", f.name, err)
}

// listen binds the addresses, so that a taken port is found before anything
// runs. The API's is the first.
func (a *App) listen(ctx context.Context, d *config.Daemon) error {
	cert, err := readCertificate(d)
	if err != nil {
		return err
	}
	a.cert.Store(cert)
	if err := a.bind(ctx, d, "the API", "listen", d.Listen, a.api); err != nil {
		return err
	}
	if d.Payloads.Dir != nil && d.Payloads.Dir.Listen != "" {
		return a.bind(ctx, d, "payloads", "payloads.dir.listen", d.Payloads.Dir.Listen, a.files)
	}
	return nil
}

func (a *App) bind(ctx context.Context, d *config.Daemon, name, setting, address string, h http.Handler) (err error) {
	f := &front{name: name, secure: d.TLS.Cert != "", server: &http.Server{
		Handler:           a.untilStop(h),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          serverLog(a.log),
	}}
	if f.secure {
		f.server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.cert.Load(), nil },
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s (setting `%s`): %w", address, setting, err)
	}
	f.listener = a.inbound.Serve(f.server, l)
	a.fronts = append(a.fronts, f)
	a.onStop(name, func(ctx context.Context) error {
		err := f.server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			a.log.Warn("requests were cut: they did not end within shutdown_grace", "of", name)
			err = f.server.Close()
		}
		return errors.Join(err, ignoreClosed(f.listener.Close()))
	})
	return nil
}

// untilStop has clients go elsewhere with their next request once the daemon is to stop.
func (a *App) untilStop(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
