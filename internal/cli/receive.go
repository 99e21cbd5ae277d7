package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

type receiveFlags struct {
	listen, secret, secretFile, brand, forward string
	fail, status                               int
	slow                                       time.Duration
}

func newReceive(e *env) *cobra.Command {
	var f receiveFlags
	cmd := &cobra.Command{
		Use:   "receive",
		Short: "Receive webhooks, verify them and show a line for each",
		Long: `Takes webhooks at every path of --listen, verifies each with --secret and shows
it in a line: when, what was answered, what became of it, the type, and the id of
the delivery. It is for development, tours and tests; it keeps nothing.

The signature may be that of "terra-signature" or, with a secret that begins with
whsec_ or whpk_, that of Standard Webhooks. A wrong signature is answered 401, a
missing or malformed one 400; without a secret nothing is verified.

What verified is answered 200, or as the flags say: --fail fails so many requests
first, --status answers all with one code, --slow waits before every answer, and
--forward-to hands each to a program of yours and answers what that answers.

It ends on Ctrl-C, with a summary.`,
		Example: `  fantail receive --secret a-secret-of-acme
  fantail receive --secret-file acme.secret --fail 2
  fantail receive --status 503 --slow 5s
  fantail receive --secret a-secret-of-acme --forward-to http://127.0.0.1:3000/hooks --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := f.receiver(e)
			if err != nil {
				return err
			}
			return e.receive(cmd.Context(), f.listen, r)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:9000", "address and port to listen on")
	flags.StringVar(&f.secret, "secret", "", "verify with this secret; others on this machine can see it, so prefer --secret-file for a real one")
	flags.StringVar(&f.secretFile, "secret-file", "", "file that holds the secret")
	flags.StringVar(&f.brand, "brand", "terra", "the daemon's setting of that name")
	flags.IntVar(&f.fail, "fail", 0, "fail the first so many requests, with --status or 500")
	flags.IntVar(&f.status, "status", 0, "answer with this code; with --fail those that fail, else all")
	flags.DurationVar(&f.slow, "slow", 0, "wait so long before each answer")
	flags.StringVar(&f.forward, "forward-to", "", "hand what verified to this URL and answer what it answers")
	return cmd
}

// receiver judges the flags.
func (f *receiveFlags) receiver(e *env) (*receiver, error) {
	r := &receiver{
		brand: f.brand, first: f.fail > 0, fail: f.fail, slow: f.slow, now: e.now, pause: e.pause, seen: map[string]bool{},
	}
	secret := f.secret
	switch {
	case f.secret != "" && f.secretFile != "":
		return nil, usagef("give --secret or --secret-file, not both")
	case f.secretFile != "":
		b, err := os.ReadFile(f.secretFile)
		if err != nil {
			return nil, fmt.Errorf("read --secret-file: %w", err)
		}
		// The daemon reads it in the same way: one newline at the end is not part of the secret.
		if secret = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"); secret == "" {
			return nil, fmt.Errorf("--secret-file %s is empty", f.secretFile)
		}
	}
	if err := r.verifyWith(secret); err != nil {
		return nil, usagef("--secret: %w", err)
	}
	switch {
	case f.fail < 0:
		return nil, usagef("--fail %d: want a number of requests", f.fail)
	case f.status != 0 && (f.status < 200 || f.status > 599):
		return nil, usagef("--status %d: want from 200 to 599", f.status)
	case f.slow < 0:
		return nil, usagef("--slow %s: want a time", f.slow)
	case f.fail > 0 && f.status/100 == 2:
		return nil, usagef("--fail with --status %d, which is no failure", f.status)
	case f.forward != "" && f.fail == 0 && f.status != 0:
		return nil, usagef("--status would leave nothing to --forward-to: give one, or --fail too")
	}
	r.status = f.status
	if f.forward == "" {
		return r, nil
	}
	to, err := url.Parse(f.forward)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return nil, usagef("--forward-to %q: want such as http://127.0.0.1:3000/hooks", f.forward)
	}
	if to.Host == f.listen {
		return nil, usagef("--forward-to %s is where --listen receives", f.forward)
	}
	r.forward = &forwarder{to: to, client: &http.Client{
		Transport: e.transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return r, nil
}

// receive serves r until ctx ends, which is the usual end.
func (e *env) receive(ctx context.Context, listen string, r *receiver) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("somebody listens on %s already: name another address with --listen", listen)
	case err != nil:
		return fmt.Errorf("listen for webhooks (--listen): %w", err)
	}
	r.show = e.showReceived
	server := &http.Server{
		Handler: r, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, // waits of --slow end with it
		ErrorLog:    discardLog(),                                      // its lines about broken connections would not fit ours
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	fmt.Fprintf(e.err, "Receiving at http://%s, at every path. %s Ctrl-C ends it.\n", l.Addr(), r.says())
	select {
	case <-ctx.Done():
		patience, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		if server.Shutdown(patience) != nil {
			server.Close()
		}
		err = nil
	case err = <-served:
		err = fmt.Errorf("receive webhooks: %w", err)
	}
	fmt.Fprintln(e.err, r.summary())
	return err
}

// showReceived prints one line, or one object with --json. The line fits the terminal: the id comes
// last and is left out where it has no room.
func (e *env) showReceived(r received) {
	if e.json {
		_ = e.printJSON(r) // a closed pipe ends the process; nothing else can fail here
		return
	}
	code := "---" // nobody waited for the answer
	if r.Status != 0 {
		code = fmt.Sprint(r.Status)
	}
	line := strings.TrimRight(fmt.Sprintf("%s  %s  %-37s  %s", r.At.Local().Format(time.TimeOnly), code, r.outcome(), plain(r.Type, 24)), " ")
	if id := plain(r.ID, 64); id != "" && (!e.outTerminal || len(line)+2+len(id) <= e.columns()) {
		line += "  " + id
	}
	if e.outTerminal {
		line = cut(line, e.columns())
	}
	fmt.Fprintln(e.out, line)
}
