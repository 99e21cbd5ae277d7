// Package fantail is the whole program as one call, so that others can build
// their own binary with destination kinds of their own.
package fantail

import (
	"context"
	"os"

	"github.com/seed-51f8da91/fantail/internal/cli"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Main runs the command line args (without the program's name) until it is done
// or ctx ends, and returns the exit code: 0 well, 1 failed, 2 wrong usage,
// 130 interrupted. kinds are the destination kinds this binary knows.
func Main(ctx context.Context, args []string, kinds destination.Registry) int {
	return cli.Run(ctx, args, os.Stdin, os.Stdout, os.Stderr, kinds)
}
