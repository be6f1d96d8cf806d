// Command berth is a container registry: `berth serve` runs it, the other commands
// administer it, beside a running server or without one. Called docker-credential-berth it
// logs docker in at one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"berth/auth"
	"berth/auth/credhelper"
	"berth/registry"
)

// Exit codes, which scripts may rely on.
const (
	exitFailed  = 1 // the command could not be done
	exitUsage   = 2 // the command line or the configuration is wrong
	exitTrouble = 3 // berth fsck has found losses, berth doctor a problem, berth scan show --fail-on a finding
)

// version is set by the linker.
var version = "dev"

var (
	// errTrouble ends a command that worked and has bad news, already told.
	errTrouble = errors.New("trouble was found")
	// errTold ends a command that failed and has said why.
	errTold = errors.New("it failed")
)

// commands are what berth can do. Each flag is also BERTH_<NAME> in the environment
// and a key of the configuration file.
type commands struct {
	VersionFlag kong.VersionFlag `name:"version" env:"-" help:"Print the version."`
	Config      kong.ConfigFlag  `placeholder:"FILE" help:"Read further settings from this YAML file, whose keys are named like the flags." env:"BERTH_CONFIG"`

	Serve     serveCommand     `cmd:"" help:"Run the registry."`
	User      userCommand      `cmd:"" help:"People who may log in."`
	Robot     robotCommand     `cmd:"" help:"Programs that may log in, with a secret that can expire."`
	Role      roleCommand      `cmd:"" help:"What CI jobs may take on with the token of their provider, instead of a secret."`
	Key       keyCommand       `cmd:"" help:"Access keys, with which the aws CLI, SDKs and Terraform sign."`
	Policy    policyCommand    `cmd:"" help:"What users, robots and roles may do."`
	Repo      repoCommand      `cmd:"" help:"Repositories."`
	Image     imageCommand     `cmd:"" help:"Images, also those that were deleted and can be restored."`
	Scan      scanCommand      `cmd:"" help:"Vulnerabilities of images."`
	Tag       tagCommand       `cmd:"" help:"Where tags pointed, and back there."`
	Cluster   clusterCommand   `cmd:"" help:"What clusters run, for lifecycle policies that keep it."`
	Usage     usageCommand     `cmd:"" help:"How much room images take, and what deleting some would free."`
	Quota     quotaCommand     `cmd:"" help:"How much room repositories may take."`
	Jobs      jobsCommand      `cmd:"" help:"Work that is left to be done in the background."`
	Fsck      fsckCommand      `cmd:"" help:"Compare what the registry knows with what lies in its storage."`
	Scrub     scrubCommand     `cmd:"" help:"Say how far the server has come with reading all objects and comparing them with their digests."`
	Lifecycle lifecycleCommand `cmd:"" help:"Lifecycle policies: what becomes of the images of a repository with time."`
	GC        gcCommand        `cmd:"" name:"gc" help:"Garbage: bytes that nothing mentions any more, and abandoned uploads."`
	Migrate   migrateCommand   `cmd:"" help:"Take a registry to another database and storage."`
	Backup    backupCommand    `cmd:"" help:"Keep what the registry knows, as it is at one moment."`
	Restore   restoreCommand   `cmd:"" help:"Make a registry of a backup."`
	Show      configCommand    `cmd:"" name:"config" help:"Print the settings that serve would use, secrets masked."`
	Doctor    doctorCommand    `cmd:"" help:"Check whether the registry will run with these settings, which are those of serve, and say what to do."`
	Version   versionCommand   `cmd:"" help:"Print the version."`

	CredentialHelper          credentialHelperCommand   `cmd:"" help:"Log docker in where it pulls and pushes; docker runs it as docker-credential-berth."`
	KubeletCredentialProvider credentialProviderCommand `cmd:"" help:"Log the kubelet in where it pulls; the kubelet runs it."`
}

// console is where commands read and write.
type console struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	c := console{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	var code int
	if filepath.Base(os.Args[0]) == credhelper.DockerName {
		code = runDockerHelper(ctx, os.Args[1:], c)
	} else {
		code = run(ctx, os.Args[1:], c)
	}
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
	case errors.Is(err, errTold):
		return exitFailed
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
		durations(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.DefaultEnvars("BERTH"),
		kong.Vars{"power_user": auth.PowerUser, "version": "berth " + version},
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
