// Command berth-scanner looks for vulnerabilities in the images of a registry: it asks the
// registry for jobs, does them and reports what it has found. `berth serve` runs one by
// itself if it finds it; more of them may run anywhere.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes, which scripts may rely on.
const (
	exitFailed = 1 // it could not go on
	exitUsage  = 2 // the command line is wrong, or there is no engine in this binary
)

// version is set by the linker.
var version = "dev"

// engineArgument has the program be an engine of another process of it. See package
// scan/worker.
const engineArgument = "engine"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string, out, errs io.Writer) (code int) {
	if len(args) == 1 && args[0] == engineArgument {
		// Whoever stops the service may tell all of its processes. The worker decides when an
		// engine ends.
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
		return complain(errs, runEngine(context.WithoutCancel(ctx)))
	}
	var f flags
	parser, err := kong.New(&f,
		kong.Name("berth-scanner"),
		kong.Description("Looks for vulnerabilities in the images of a registry of berth."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("BERTH_SCANNER"),
		kong.Vars{"version": "berth-scanner " + version},
		kong.Writers(out, errs),
		kong.Exit(func(code int) { panic(exitPanic(code)) }),
	)
	if err != nil {
		panic(err) // the struct is wrong
	}
	defer func() {
		// kong ends --help by calling Exit.
		if exit, ok := recover().(exitPanic); ok {
			code = int(exit)
		}
	}()
	if _, err := parser.Parse(args); err != nil {
		fmt.Fprintf(errs, "berth-scanner: %v\nTry 'berth-scanner --help'.\n", err)
		return exitUsage
	}
	if !hasEngine {
		complain(errs, errNoEngine)
		return exitUsage
	}
	return complain(errs, f.work(ctx, errs))
}

type exitPanic int

func complain(errs io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(errs, "berth-scanner: %v\n", err)
	return exitFailed
}
