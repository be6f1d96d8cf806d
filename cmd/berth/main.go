// Command berth is a container registry: `berth serve` runs it, the other commands
// administer it, beside a running server or without one.
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

	"github.com/alecthomas/kong"

	"berth/auth"
	"berth/registry"
)

// Exit codes, which scripts may rely on.
const (
	exitFailed  = 1 // the command could not be done
	exitUsage   = 2 // the command line or the configuration is wrong
	exitTrouble = 3 // berth fsck has found losses, berth doctor a problem
)

// version is set by the linker.
var version = "dev"

// errTrouble ends a command that worked and has bad news, already told.
var errTrouble = errors.New("trouble was found")

// commands are what berth can do. Each flag is also BERTH_<NAME> in the environment
// and a key of the configuration file.
type commands struct {
	Config kong.ConfigFlag `placeholder:"FILE" help:"Read further settings from this YAML file, whose keys are named like the flags." env:"BERTH_CONFIG"`

	Serve   serveCommand   `cmd:"" help:"Run the registry."`
	User    userCommand    `cmd:"" help:"People who may log in."`
	Robot   robotCommand   `cmd:"" help:"Programs that may log in, with a secret that can expire."`
	Policy  policyCommand  `cmd:"" help:"What users and robots may do."`
	Repo    repoCommand    `cmd:"" help:"Repositories."`
	Jobs    jobsCommand    `cmd:"" help:"Work that is left to be done in the background."`
	Fsck    fsckCommand    `cmd:"" help:"Compare what the registry knows with what lies in its storage."`
	GC      gcCommand      `cmd:"" name:"gc" help:"Remove uploads that were abandoned, and what jobs are to remove. The bytes of deleted images stay: collecting them is yet to come."`
	Migrate migrateCommand `cmd:"" help:"Take a registry to another database and storage."`
	Backup  backupCommand  `cmd:"" help:"Keep what the registry knows, as it is at one moment."`
	Restore restoreCommand `cmd:"" help:"Make a registry of a backup."`
	Show    configCommand  `cmd:"" name:"config" help:"Print the settings that serve would use, secrets masked."`
	Doctor  doctorCommand  `cmd:"" help:"Check whether the registry will run with these settings, which are those of serve, and say what to do."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// console is where commands read and write.
type console struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], console{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// run is main without the process, for tests.
func run(ctx context.Context, args []string, c console) (code int) {
	parser, err := newParser(&commands{}, c)
	if err != nil {
		panic(err) // the structs above are wrong
	}
	defer func() {
		// kong ends --help by calling Exit.
		if exit, ok := recover().(exitPanic); ok {
			code = int(exit)
		}
	}()
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(c.err, "berth: %v\nTry 'berth --help'.\n", err)
		return exitUsage
	}
	switch command.Command() {
	case "serve", "config", "doctor":
		for _, name := range misspelt(parser.Model, os.Environ()) {
			fmt.Fprintf(c.err, "berth: %s is set, and there is no such setting; see berth %s --help\n", name, command.Command())
		}
	}
	command.BindTo(ctx, (*context.Context)(nil))
	switch err := command.Run(c); {
	case errors.Is(err, errTrouble):
		return exitTrouble
	case err != nil:
		fmt.Fprintf(c.err, "berth: %s\n", plain(err))
		return exitFailed
	}
	return 0
}

// plain is an error without the code that clients of the registry go by.
func plain(err error) string {
	var e *registry.Error
	if errors.As(err, &e) {
		return strings.Replace(err.Error(), string(e.Code)+": ", "", 1)
	}
	return err.Error()
}

type exitPanic int

func newParser(target *commands, c console) (*kong.Kong, error) {
	return kong.New(target,
		kong.Name("berth"),
		kong.Description("A container registry that behaves like Amazon ECR. `berth serve` starts it in the current folder."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("BERTH"),
		kong.Vars{"power_user": auth.PowerUser},
		kong.Configuration(loadYAML, "/etc/berth/berth.yaml"),
		kong.Writers(c.out, c.err),
		kong.Exit(func(code int) { panic(exitPanic(code)) }),
	)
}

type versionCommand struct{}

func (versionCommand) Run(c console) error {
	_, err := fmt.Fprintln(c.out, "berth", version)
	return err
}
