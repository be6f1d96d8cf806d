package main

import (
	"fmt"
	"io"
	"iter"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"berth/auth"
	"berth/storage/meta"
)

// dataFlags say where the registry keeps things. All commands have them.
type dataFlags struct {
	Data     string `default:"./berth-data" placeholder:"DIR" help:"Folder for everything the registry keeps."`
	Database string `placeholder:"URL" help:"Where metadata is kept: sqlite:FILE (default sqlite:DATA/berth.db) or postgres://USER:PASSWORD@HOST/NAME."`
	Storage  string `placeholder:"URL" help:"Where blobs are kept: fs:DIR (default fs:DATA/blobs) or s3://BUCKET/PREFIX?endpoint=URL&region=REGION."`
	LogLevel string `default:"info" enum:"debug,info,warn,error" help:"Least severity that is logged: ${enum}."`
}

// Validate refuses a --data that says nothing, because the environment or the
// configuration file has the registry elsewhere: who gave it means another registry.
func (f dataFlags) Validate(k *kong.Context) error {
	if f.Database == "" || f.Storage == "" {
		return nil
	}
	for _, p := range k.Path {
		if p.Flag != nil && p.Flag.Name == "data" && !p.Resolved {
			return fmt.Errorf("--data %s has no effect, because --database and --storage (or BERTH_DATABASE and BERTH_STORAGE, or the configuration file) say where the registry is: unset these, or leave it out", f.Data)
		}
	}
	return nil
}

func (f dataFlags) database() string {
	if f.Database != "" {
		return f.Database
	}
	return "sqlite:" + filepath.Join(f.Data, "berth.db")
}

// local reports whether anything is kept in files of this machine, which one server at
// a time may use.
func (f dataFlags) local() bool {
	return strings.HasPrefix(f.database(), "sqlite:") || strings.HasPrefix(f.storage(), "fs:")
}

func (f dataFlags) storage() string {
	if f.Storage != "" {
		return f.Storage
	}
	return "fs:" + filepath.Join(f.Data, "blobs")
}

// placeFlags say where the registry is, in the words of AWS.
type placeFlags struct {
	Region     string `placeholder:"REGION" help:"Region of AWS that the registry stands in for, as ARNs have it; requests have to be signed for it. By default ARNs have \"local\", and any is good."`
	RegistryID string `name:"registry-id" default:"000000000000" placeholder:"ID" help:"Twelve digits that stand for the registry where AWS has the account."`
}

func (f placeFlags) check() error {
	if !regexp.MustCompile(`^[0-9]{12}$`).MatchString(f.RegistryID) {
		return fmt.Errorf("--registry-id %q: it should be twelve digits", f.RegistryID)
	}
	if f.Region != "" && !regexp.MustCompile(`^[a-z0-9-]{2,25}$`).MatchString(f.Region) {
		return fmt.Errorf("--region %q: it should look like eu-west-1", f.Region)
	}
	return nil
}

func (f placeFlags) location() auth.Location {
	return auth.Location{Region: f.Region, Account: f.RegistryID}
}

// serveFlags are the settings of the server.
type serveFlags struct {
	dataFlags   `embed:""`
	secretFlags `embed:""`
	placeFlags  `embed:""`
	graceFlag   `embed:""`
	historyFlag `embed:""`
	limitFlag   `embed:""`
	scanFlags   `embed:""`

	databaseFlags `embed:""`
	scannerFlags  `embed:""`

	Addr      string `default:":5000" help:"Address the registry listens on."`
	AdminAddr string `default:"127.0.0.1:5001" help:"Address of health checks, metrics and profiles, which should stay private; empty for none."`
	PublicURL string `name:"public-url" placeholder:"URL" help:"How clients reach the registry, if a proxy in front changes host or scheme; by default what their requests say."`
	Service   string `default:"berth" help:"Name of the registry in the tokens it gives out."`
	LogFormat string `default:"auto" enum:"auto,text,json" help:"Form of the log: ${enum}; auto is text on a terminal and json otherwise."`

	TLSCert string   `name:"tls-cert" placeholder:"FILE" help:"Certificate chain in PEM; read again when the file changes."`
	TLSKey  string   `name:"tls-key" placeholder:"FILE" help:"Private key of the certificate in PEM."`
	TLSAuto []string `name:"tls-auto" placeholder:"HOST" help:"Get a certificate for this host from an ACME authority (Let's Encrypt); the registry must be reachable on port 443."`
	ACMEURL string   `name:"acme-url" placeholder:"URL" help:"Directory of another ACME authority."`

	AdminPassword string   `placeholder:"PASSWORD" help:"Password of the user admin that the first start creates; by default one is made and printed." secret:""`
	AnonymousPull []string `placeholder:"PATTERN" help:"Repositories anyone may pull from, such as public/* or *."`
	TrustedProxy  []string `placeholder:"CIDR" help:"Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."`
	CreateOnPush  bool     `default:"true" negatable:"" help:"Create a repository when something is pushed to it."`
	ReadOnly      bool     `help:"Answer every change with 503: for the time in which the registry is moved."`
	Sparse        []string `placeholder:"PATTERN" help:"Repositories in which manifests may name layers and platforms that are not there."`

	OIDCAllowHTTP bool `name:"oidc-allow-http" help:"Ask identity providers for their keys without TLS, if roles trust such: for tests. Those on this machine are asked anyway."`

	TokenLifetime  time.Duration  `default:"5m" help:"How long a token is good for."`
	UploadExpiry   time.Duration  `default:"24h" help:"How long an upload waits for its next chunk."`
	StallTimeout   time.Duration  `default:"1m" help:"How long a request or an answer may stand still."`
	MaxConnections int            `default:"10000" help:"Connections that are served at once; more wait."`
	ScrubEvery     *time.Duration `placeholder:"DURATION" help:"How often all objects are read and compared with their digests; 0 for never. By default every 720h on a disk, and never in a bucket, which looks after its own."`
	LifecycleEvery time.Duration  `default:"12h" help:"How often the lifecycle policy of a repository is applied, give or take a tenth."`
	ScrubRate      int            `default:"8388608" help:"Bytes a second that are read for that."`
	DrainTimeout   time.Duration  `default:"30s" help:"How long requests may go on after SIGTERM."`
	DiskReserve    int64          `default:"67108864" help:"Bytes of the disk that blobs leave free."`
	UploadMemory   int64          `default:"268435456" help:"Bytes that all pushes to a bucket together hold in memory; when they are used up, pushes wait. At least 67108864."`
	Redirect       []string       `default:"off" placeholder:"off|always|CIDR" help:"Send pulls of blobs to the bucket itself: always, or for clients in these networks. Where a client is, a proxy in front can say only if it is a --trusted-proxy."`

	DatabaseConnections int `placeholder:"N" help:"Connections to the database (default 8 that read SQLite, 20 to PostgreSQL)."`
}

// Validate allows a --data that only certificates are kept in.
func (f serveFlags) Validate() error { return nil }

// check finds what no single flag can.
func (f serveFlags) check() error {
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return fmt.Errorf("--tls-cert and --tls-key go together")
	}
	if f.TLSCert != "" && len(f.TLSAuto) > 0 {
		return fmt.Errorf("--tls-auto gets a certificate itself; leave out --tls-cert and --tls-key")
	}
	for _, host := range f.TLSAuto {
		if !strings.Contains(host, ".") || net.ParseIP(host) != nil {
			return fmt.Errorf("--tls-auto %q: ACME authorities certify full host names, such as registry.example.com", host)
		}
	}
	if f.PublicURL != "" {
		u, err := url.Parse(f.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" {
			return fmt.Errorf("--public-url %q: it should look like https://registry.example.com, without a path", f.PublicURL)
		}
	}
	for _, cidr := range f.TrustedProxy {
		if _, _, err := net.ParseCIDR(cidr); err != nil {
			return fmt.Errorf("--trusted-proxy %q: it should be a network such as 10.0.0.0/8, or 10.0.0.5/32 for one address", cidr)
		}
	}
	if err := f.placeFlags.check(); err != nil {
		return err
	}
	if err := f.databaseFlags.check(); err != nil {
		return err
	}
	if _, err := f.limit(); err != nil {
		return err
	}
	if err := f.scanFlags.check(); err != nil {
		return err
	}
	if _, err := f.redirect(); err != nil {
		return err
	}
	if err := f.scannerFlags.check(); err != nil {
		return err
	}
	for flag, d := range map[string]time.Duration{
		"token-lifetime": f.TokenLifetime, "upload-expiry": f.UploadExpiry, "stall-timeout": f.StallTimeout, "drain-timeout": f.DrainTimeout,
		"gc-grace": f.GCGrace, "lifecycle-every": f.LifecycleEvery,
	} {
		if d <= 0 {
			return fmt.Errorf("--%s must be more than zero, not %s", flag, d)
		}
	}
	if f.TagHistory < 0 {
		return fmt.Errorf("--tag-history must not be less than zero; 0 keeps it for ever")
	}
	if f.ScrubRate < 1 {
		return fmt.Errorf("--scrub-rate must be more than zero; --scrub-every 0 turns scrubbing off")
	}
	if f.TokenLifetime < time.Minute || f.TokenLifetime > 24*time.Hour*90 {
		return fmt.Errorf("--token-lifetime must be a minute to 90 days, not %s", f.TokenLifetime)
	}
	return nil
}

// redirect is the networks whose clients are sent to the bucket for blobs; nil if none are.
func (f serveFlags) redirect() ([]netip.Prefix, error) {
	if len(f.Redirect) == 0 || slices.Equal(f.Redirect, []string{"off"}) {
		return nil, nil
	}
	list := f.Redirect
	if slices.Equal(list, []string{"always"}) {
		list = []string{"0.0.0.0/0", "::/0"}
	}
	networks, err := parseCIDRs(list)
	if err != nil {
		return nil, fmt.Errorf("--redirect is off, always, or networks such as 10.0.0.0/8: %w", err)
	}
	if !strings.HasPrefix(f.storage(), "s3:") {
		return nil, fmt.Errorf("--redirect needs a bucket: there is nothing to send clients to from %s", redact(f.storage()))
	}
	return networks, nil
}

// scrubEvery is how often all objects are read, zero for never.
func (f serveFlags) scrubEvery() time.Duration {
	switch {
	case f.ScrubEvery != nil:
		return *f.ScrubEvery
	case strings.HasPrefix(f.storage(), "fs:"):
		return 30 * 24 * time.Hour
	}
	return 0
}

// tls reports whether the registry speaks TLS itself.
func (f serveFlags) tls() bool { return f.TLSCert != "" || len(f.TLSAuto) > 0 }

// configCommand prints the settings of serve. It has the same flags, so that a
// service's command line can be tried out.
type configCommand struct {
	serveFlags `embed:""`
}

// Run writes YAML that --config reads.
func (cmd configCommand) Run(k *kong.Context, c console) error {
	if err := cmd.check(); err != nil {
		return err
	}
	var b strings.Builder
	for _, flag := range k.Selected().Flags {
		value := flag.Value.Target.Interface()
		if d, ok := value.(time.Duration); ok {
			value = d.String()
		}
		if flag.Tag.Has("secret") && value != "" {
			value = "********"
		}
		switch flag.Name {
		case "database":
			value = redact(cmd.database())
		case "storage":
			value = redact(cmd.storage())
		}
		line, err := yaml.MarshalWithOptions(map[string]any{flag.Name: value}, yaml.Flow(false))
		if err != nil {
			return err
		}
		b.Write(line)
	}
	_, err := io.WriteString(c.out, b.String())
	return err
}

// redact hides the secrets in where something is kept. Names of files have none, and need
// not be URLs.
func redact(raw string) string {
	if strings.HasPrefix(raw, "sqlite:") || strings.HasPrefix(raw, "fs:") {
		return raw
	}
	return meta.Redact(raw)
}

// loadYAML reads the configuration file. An unknown key is an error: it is a
// misspelt one.
func loadYAML(r io.Reader) (kong.Resolver, error) {
	settings := map[string]any{}
	if err := yaml.NewDecoder(r).Decode(&settings); err != nil && err != io.EOF {
		return nil, fmt.Errorf("the configuration file is not valid YAML: %w", err)
	}
	return yamlResolver(settings), nil
}

type yamlResolver map[string]any

// allFlags are those of all commands.
func allFlags(app *kong.Application) iter.Seq[*kong.Flag] {
	return func(yield func(*kong.Flag) bool) {
		for _, leaf := range app.Leaves(false) {
			for _, group := range leaf.AllFlags(false) {
				for _, flag := range group {
					if !yield(flag) {
						return
					}
				}
			}
		}
	}
}

// links are variables that Kubernetes sets for services, one of which may be called berth.
var links = regexp.MustCompile(`_SERVICE_(HOST|PORT)|_PORT(_|$)`)

// misspelt are the variables that look like settings and are none.
func misspelt(app *kong.Application, environ []string) (names []string) {
	known := map[string]bool{"BERTH_CONFIG": true}
	for flag := range allFlags(app) {
		for _, name := range flag.Envs {
			known[name] = true
		}
	}
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "BERTH_") && !known[name] && !links.MatchString(name) {
			names = append(names, name)
		}
	}
	return names
}

func (y yamlResolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for flag := range allFlags(app) {
		known[flag.Name] = true
	}
	var unknown []string
	for key := range y {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("the configuration file has settings that berth does not know: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// Resolve has no value where a variable of the environment is set: kong would prefer
// that of the file.
func (y yamlResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return y[flag.Name], nil
}
