// Command jepsen-lite breaks a Fanfold cluster on this machine and judges whether it kept its promises.
// `fanfold chaos` is the same.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/fanfold/fanfold/jepsen-lite/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
