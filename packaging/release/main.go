// Command release makes everything that a release consists of, the same bytes each time: static binaries,
// archives with manual and completion, Debian packages, bills of materials, checksums and notes.
//
//	go run ./packaging/release -version v0.1.0
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what is to be made. Nothing of it depends on the machine, the folder or the time.
type release struct {
	source    string // folder of the sources
	out       string // folder to fill
	version   string // "v0.1.0"
	commit    string
	date      time.Time // of the commit: every file of the release bears it
	platforms []platform
}

// platform is a system and a processor, as Go calls them.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "_" + p.arch }

// dir is where the binary of a platform lies, which the Dockerfile relies on.
func (r *release) dir(p platform) string { return filepath.Join(r.out, p.String()) }

const everywhere = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64"

// semantic is a version as Go modules have it (https://semver.org, and the v).
var semantic = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

func run(ctx context.Context, args []string, says io.Writer) error {
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	r := &release{}
	f.StringVar(&r.version, "version", "", "the version, such as v0.1.0")
	f.StringVar(&r.source, "source", ".", "folder of the sources")
	f.StringVar(&r.out, "out", "dist", "folder to put the release into; what is there is replaced")
	f.StringVar(&r.commit, "commit", "", "the commit (default: that of the checkout, which must have no changes)")
	date := f.String("date", "", "time of the commit, RFC 3339 (default: that of the checkout's)")
	platforms := f.String("platforms", everywhere, "what to build for")
	if err := f.Parse(args); err != nil {
		return err
	}
	if !semantic.MatchString(r.version) {
		return fmt.Errorf("-version %q: want a version such as v0.1.0", r.version)
	}
	if err := r.cameFrom(ctx, *date); err != nil {
		return err
	}
	for _, name := range strings.Split(*platforms, ",") {
		system, arch, ok := strings.Cut(name, "/")
		if !ok || !strings.Contains(","+everywhere+",", ","+name+",") {
			return fmt.Errorf("-platforms %q: want some of %s", name, everywhere)
		}
		r.platforms = append(r.platforms, platform{system, arch})
	}
	// The modes of binaries and of what is staged go into packages and images: with a private umask nobody
	// but root could run what they install.
	defer syscall.Umask(syscall.Umask(0o022))
	return r.make(ctx, says)
}

func (r *release) make(ctx context.Context, says io.Writer) error {
	notes, err := r.notes()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.out, "RELEASE-NOTES.md"), notes, 0o644); err != nil {
		return err
	}
	extras := filepath.Join(r.out, "extras")
	if err := r.manual(extras); err != nil {
		return fmt.Errorf("make manual and completion: %w", err)
	}
	for _, p := range r.platforms {
		fmt.Fprintln(says, "building for", p)
		for _, step := range []func(context.Context, platform, string) error{r.binary, r.bill, r.archive, r.deb} {
			if err := step(ctx, p, extras); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
	}
	if err := r.sums(); err != nil {
		return err
	}
	fmt.Fprintf(says, "%s of commit %.12s lies in %s\n", r.version, r.commit, r.out)
	return nil
}
