package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/trail"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

const defaultServer = "http://127.0.0.1:8080"

// env is what a command works with: the streams, the global flags and the kinds of this binary.
type env struct {
	in       io.Reader
	out, err io.Writer
	kinds    destination.Registry

	inTerminal, outTerminal, errTerminal bool

	now       func() time.Time
	pause     func(context.Context, time.Duration) bool // waits; false when the context ended first
	lookup    func(string) string                       // of the environment
	transport *http.Transport

	server, token, tokenFile string
	json                     bool

	why string // as a command that acts says

	remarks sync.Mutex // a line at a time
}

func newEnv(in io.Reader, out, err io.Writer, kinds destination.Registry) *env {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &env{
		in: in, out: out, err: err, kinds: kinds,
		inTerminal: isTerminal(in), outTerminal: isTerminal(out), errTerminal: isTerminal(err),
		now: time.Now, pause: pause, lookup: os.Getenv, transport: transport,
	}
}

// isTerminal tells whether somebody may be looking at stream.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

func (e *env) closeIdle() { e.transport.CloseIdleConnections() }

// address returns where the daemon is.
func (e *env) address() string {
	for _, s := range []string{e.server, e.lookup("FANTAIL_SERVER")} {
		if s != "" {
			return s
		}
	}
	return defaultServer
}

// client returns a client of the daemon that the flags and the environment name.
func (e *env) client() (*client.Client, error) {
	token, err := e.bearer()
	if err != nil {
		return nil, err
	}
	c, err := client.New(e.address(), token, &http.Client{Transport: e.transport})
	if err != nil {
		return nil, usagef("%w: see --server and FANTAIL_SERVER", err)
	}
	if c.Reason, err = e.because(); err != nil {
		return nil, err
	}
	c.Unanswered = func(daemons []string) {
		fmt.Fprintf(e.err, "fantail: %s did not answer the daemon that was asked: what only they know is missing (fantail daemons)\n", clean(strings.Join(daemons, ", ")))
	}
	c.Patience = 0 // a person waits: tell them at once that nobody answers
	return c, nil
}

// because returns the reason that somebody gave for what they do.
func (e *env) because() (string, error) {
	if len(e.why) > trail.MaxReason || !utf8.ValidString(e.why) {
		return "", usagef("--reason has more than %d bytes, or is not UTF-8", trail.MaxReason)
	}
	return e.why, nil
}

// act is what somebody does to a store whose daemon does not run. The command notes it, because no
// daemon does.
func (e *env) act(call, object string) (store.Act, error) {
	why, err := e.because()
	return store.Act{By: trail.Local, Call: call, Object: trail.Cut(object, 128), Reason: why, Result: "ok", Count: 1}, err
}

func (e *env) bearer() (string, error) {
	if e.token != "" && e.tokenFile != "" {
		return "", usagef("give --token or --token-file, not both")
	}
	if e.token != "" {
		return e.token, nil
	}
	if e.tokenFile != "" {
		return tokenOf("--token-file", e.tokenFile)
	}
	token, file := e.lookup("FANTAIL_TOKEN"), e.lookup("FANTAIL_TOKEN_FILE")
	switch {
	case token != "" && file != "":
		return "", usagef("FANTAIL_TOKEN and FANTAIL_TOKEN_FILE are both set: unset one, or give --token-file")
	case file != "":
		return tokenOf("FANTAIL_TOKEN_FILE", file)
	}
	return token, nil
}

// tokenOf reads the file that setting names.
func tokenOf(setting, file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", setting, err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s %s does not hold one token on one line", setting, file)
	}
	return token, nil
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errSilent fails a command that has already said what is wrong.
var errSilent = errors.New("failed")

// report prints what went wrong and returns the exit code.
func (e *env) report(ctx context.Context, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) { // a signal is the cause of ctx
		fmt.Fprintln(e.err, "fantail: interrupted")
		return exitInterrupted
	}
	_, wrong := errors.AsType[usageError](err)
	if _, began := errors.AsType[failure](err); began && !wrong {
		if !errors.Is(err, errSilent) {
			fmt.Fprintf(e.err, "fantail: %s\n", lines(e.advise(err)))
		}
		return exitFailed
	}
	fmt.Fprintf(e.err, "fantail: %s\nSee %q.\n", lines(err.Error()), cmd.CommandPath()+" --help")
	return exitUsage
}
