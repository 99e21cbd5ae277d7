// Command fantail is the daemon and its command line, with every destination
// kind that ships.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed-51f8da91/fantail"
	"github.com/seed-51f8da91/fantail/destinations/all"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(fantail.Main(ctx, os.Args[1:], all.Destinations()))
}
