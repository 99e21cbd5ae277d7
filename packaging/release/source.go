package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cameFrom finds out which commit is released, unless it was told. A release of a checkout with changes
// could not be made again.
func (r *release) cameFrom(ctx context.Context, date string) error {
	if (r.commit == "") != (date == "") {
		return errors.New("-commit and -date belong together")
	}
	if r.commit == "" {
		changes, err := r.git(ctx, "status", "--porcelain")
		if err != nil {
			return err
		}
		if changes != "" {
			return fmt.Errorf("the checkout has changes: commit them, or release from a clean clone\n%s", changes)
		}
		if r.commit, err = r.git(ctx, "rev-parse", "HEAD"); err != nil {
			return err
		}
		if date, err = r.git(ctx, "log", "-1", "--format=%cI"); err != nil {
			return err
		}
		if tagged, err := r.git(ctx, "rev-parse", "--quiet", "--verify", "refs/tags/"+r.version+"^{commit}"); err == nil && tagged != r.commit {
			return fmt.Errorf("the tag %s is at commit %.12s, the checkout at %.12s: check out the tag", r.version, tagged, r.commit)
		}
	}
	at, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return fmt.Errorf("-date: %w", err)
	}
	r.date = at.UTC()
	return nil
}

func (r *release) git(ctx context.Context, args ...string) (string, error) {
	out, err := r.command(ctx, r.source, nil, "git", args...)
	return strings.TrimSpace(string(out)), err
}

// command runs a program in a folder and returns what it prints.
func (r *release) command(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{name}, args[:min(len(args), 3)]...), " "), err, strings.TrimSpace(said.String()))
	}
	return out, nil
}

// linked are the variables that the linker sets: see internal/build.
const linked = "github.com/seed-51f8da91/fantail/internal/build."

// settled is what the environment of a machine must not decide.
var settled = []string{"CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off", "GOWORK=off"}

// binary builds the program: static, without the paths of this machine, and for the oldest processors of
// its kind, whatever the environment says.
func (r *release) binary(ctx context.Context, p platform, _ string) error {
	out, err := filepath.Abs(filepath.Join(r.dir(p), "fantail"))
	if err != nil {
		return err
	}
	flags := "-s -w -buildid= -X " + linked + "version=" + r.version + " -X " + linked + "commit=" + r.commit + " -X " + linked + "date=" + r.date.Format(time.RFC3339)
	_, err = r.command(ctx, r.source, append([]string{"GOOS=" + p.os, "GOARCH=" + p.arch}, settled...),
		"go", "build", "-trimpath", "-buildvcs=false", "-ldflags="+flags, "-o", out, "./cmd/fantail")
	return err
}
