// Command fanfold is a node of a Fanfold cluster, the tool that asks and steers one, and the
// development cluster with its demo and benchmarks. One file per sub-command; docs/cli.md describes
// them all, with the exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, err: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return int(exit.OK)
	}
	code, hint := exit.Of(err)
	if code != exit.Interrupted || !errors.Is(err, context.Canceled) {
		fmt.Fprintln(errOut, "fanfold:", err)
	}
	if code == exit.Usage && hint == "" {
		hint = "see `fanfold --help`, or --help after any command"
	}
	if hint != "" {
		fmt.Fprintln(errOut, "next:", hint)
	}
	return int(code)
}

// app is what the sub-commands share: the streams and the global flags.
type app struct {
	in       io.Reader
	out, err io.Writer
	address  string
	format   string
}

// defaultAddress is where a node's API is unless told otherwise.
const defaultAddress = "127.0.0.1:7400"

func (a *app) root() *cobra.Command {
	root := group("fanfold", "Fanfold: durable workflows in one binary", a.dev(), a.server(), a.submit(),
		a.job(), a.dead(), a.worker(), a.batch(), a.queue(), a.limit(), a.cluster(), a.bench(), a.chaos(), a.debug(), a.version(), a.exitCodes(),
		a.webhook(),
		a.explain(),
		a.schedule(),
	)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit.With(exit.Usage, "", err) })
	address := os.Getenv("FANFOLD_ADDR")
	if address == "" {
		address = defaultAddress
	}
	root.PersistentFlags().StringVar(&a.address, "address", address,
		"API address of one or more nodes, with commas between; default from FANFOLD_ADDR")
	root.PersistentFlags().StringVarP(&a.format, "output", "o", string(output.Table), "output format: table or json")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return output.Format(a.format).Check() }
	return root
}

// group makes a command that only has sub-commands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	parent := &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return exit.Usagef("%s has no command %q", cmd.CommandPath(), args[0])
		}
		return cmd.Help()
	}, Args: cobra.ArbitraryArgs}
	parent.AddCommand(commands...)
	return parent
}

// arguments makes a wrong number of arguments an error of usage that shows the right form.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return exit.With(exit.Usage, "usage: "+cmd.UseLine(), err)
		}
		return nil
	}
}

// required reports flags that must be given and are not.
func required(cmd *cobra.Command, names ...string) error {
	var missing []string
	for _, name := range names {
		if flag := cmd.Flags().Lookup(name); flag.Value.String() == "" {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) > 0 {
		return exit.With(exit.Usage, "usage: "+cmd.UseLine(), fmt.Errorf("%s must be given", strings.Join(missing, " and ")))
	}
	return nil
}

// client is a client of the nodes that --address names.
func (a *app) client() (*remote.Client, error) {
	addresses := remote.Addresses(a.address)
	if len(addresses) == 0 {
		return nil, exit.Usagef("--address is empty: give host:port of a node")
	}
	return remote.New(addresses), nil
}

// printer prints data in the format that -o chose.
func (a *app) printer() output.Printer {
	return output.Printer{Out: a.out, Format: output.Format(a.format)}
}
