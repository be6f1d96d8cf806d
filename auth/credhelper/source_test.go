package credhelper_test

import (
	"strings"
	"testing"
)

// Ways to log in, as files and variables. HOME stands for the folder of the user.
var (
	env     = []string{"AWS_ACCESS_KEY_ID=AKIAENV", "AWS_SECRET_ACCESS_KEY=secret-of-env"}
	session = []string{"AWS_ACCESS_KEY_ID=ASIASESSION", "AWS_SECRET_ACCESS_KEY=secret-of-session", "AWS_SESSION_TOKEN=" + sessionToken}
	web     = []string{"AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token", "AWS_ROLE_ARN=" + role, "token: token of alice\n"}

	ours    = "[%]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret-of-profile\n"
	foreign = "[%]\naws_access_key_id = AKIAAMAZON\naws_secret_access_key = secret-of-amazon\n"
	process = `[profile %]
credential_process = echo '{"Version":1,"AccessKeyId":"AKIAPROCESS","SecretAccessKey":"secret-of-process"}'
`
	named  = []string{"AWS_PROFILE=ci", ".aws/credentials: " + in("ci", ours)}
	stored = []string{`config/logins.json: {"SERVER":{"Username":"ann","Secret":"of docker login"}}`}
)

func in(profile, content string) string { return strings.ReplaceAll(content, "%", profile) }

func all(lists ...[]string) (all []string) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

const notFound = "credentials not found in native keychain"

var sourceTests = []struct {
	name  string
	setup []string
	want  string // password, or part of an error
}{
	{"nothing", nil, notFound},
	{"an access key", env, "login:of:env:1"},
	{"a session", session, "login:of:session:1"},
	{"a web identity", web, "login:of:session:1"},
	{"a profile", named, "login:of:profile:1"},
	{"the default profile", []string{".aws/credentials: " + in("default", ours)}, "login:of:profile:1"},
	{"the default profile of the configuration", []string{".aws/config: " + in("default", ours)}, "login:of:profile:1"},
	{"a profile of the configuration", []string{"AWS_PROFILE=ci", ".aws/config: " + in("profile ci", ours)}, "login:of:profile:1"},
	{"a profile elsewhere", []string{"AWS_PROFILE=ci", "AWS_SHARED_CREDENTIALS_FILE=HOME/keys", "keys: " + in("ci", ours)}, "login:of:profile:1"},
	{"a configuration elsewhere", []string{"AWS_PROFILE=ci", "AWS_CONFIG_FILE=HOME/conf", "conf: " + in("ci", process)}, "login:of:process:1"},
	{"a process", []string{"AWS_PROFILE=ci", ".aws/config: " + in("ci", process)}, "login:of:process:1"},
	{"keys go before a process", []string{"AWS_PROFILE=ci", ".aws/config: " + in("ci", process), ".aws/credentials: " + in("ci", ours)}, "login:of:profile:1"},
	{"a web identity of a profile", []string{"AWS_PROFILE=ci", "token: token of bob", ".aws/config: [profile ci]\nrole_arn=" + role + "\nweb_identity_token_file=HOME/token\n"}, "login:of:session:1"},
	{"a stored login", stored, "of docker login"},

	{"the environment goes first", all(env, web, named, stored), "login:of:env:1"},
	{"then a web identity", all(web, named, stored), "login:of:session:1"},
	{"then a profile", all(named, stored), "login:of:profile:1"},
	{"then the default profile", all([]string{".aws/credentials: " + in("default", ours)}, stored), "login:of:profile:1"},

	// What is wrong is told, and nothing else is tried in its place.
	{"half a key", all([]string{"AWS_ACCESS_KEY_ID=AKIAENV"}, named, stored), "AWS_SECRET_ACCESS_KEY is not"},
	{"the other half", all([]string{"AWS_SECRET_ACCESS_KEY=x"}, named, stored), "AWS_ACCESS_KEY_ID is not"},
	{"an unknown key", all([]string{"AWS_ACCESS_KEY_ID=AKIANOBODY", "AWS_SECRET_ACCESS_KEY=x"}, stored), "access key in AWS_ACCESS_KEY_ID: the registry answered UnrecognizedClientException"},
	{"a wrong secret", all([]string{"AWS_ACCESS_KEY_ID=AKIAENV", "AWS_SECRET_ACCESS_KEY=x"}, stored), "the secret of the access key, AWS_REGION or the clock"},
	{"another region", all(env, []string{"AWS_REGION=mars-1"}), "valid region, not 'mars-1'"},
	{"no role", []string{"AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token", "token: token of alice"}, "AWS_ROLE_ARN is not"},
	{"no token", []string{"AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token", "AWS_ROLE_ARN=" + role}, "no such file"},
	{"an empty token", []string{"AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token", "AWS_ROLE_ARN=" + role, "token: \n"}, "is empty"},
	{"another role", []string{"AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token", "AWS_ROLE_ARN=arn:aws:iam::111122223333:role/admin", "token: token of alice"}, "AccessDenied: Not authorized with …; the role must be there"},
	{"no such profile", all([]string{"AWS_PROFILE=cd"}, named[1:], stored), `no profile "cd"`},
	{"a named profile of Amazon", all([]string{"AWS_PROFILE=ci", ".aws/credentials: " + in("ci", foreign)}, stored), "an access key of this registry"},
	{"a wrong secret of a session", all(session, []string{"AWS_SECRET_ACCESS_KEY=x"}), "InvalidSignatureException"},
	{"half a profile", []string{"AWS_PROFILE=ci", ".aws/credentials: [ci]\naws_access_key_id=AKIAPROFILE"}, "only one of"},
	{"a profile of SSO", []string{"AWS_PROFILE=ci", ".aws/config: [profile ci]\nsso_session = corp"}, "aws configure export-credentials"},
	{"a role taken on with other keys", all(named, []string{".aws/config: [profile ci]\nrole_arn = " + role + "\nsource_profile = base"}), "aws configure export-credentials"},
	{"a process that fails", []string{"AWS_PROFILE=ci", ".aws/config: [profile ci]\ncredential_process = echo secret-of-process; exit 3"}, "exit status 3"},
	{"a process that chats", []string{"AWS_PROFILE=ci", ".aws/config: [profile ci]\ncredential_process = echo secret-of-process"}, "something else than the JSON"},
	{"a process of tomorrow", []string{"AWS_PROFILE=ci", `.aws/config: [profile ci]` + "\n" + `credential_process = echo '{"Version":2}'`}, "version 2"},
	{"a process without a secret", []string{"AWS_PROFILE=ci", `.aws/config: [profile ci]` + "\n" + `credential_process = echo '{"Version":1}'`}, "lacks AccessKeyId"},
	{"damaged logins", []string{"config/logins.json: {"}, "is damaged"},

	// The default profile is often there for Amazon.
	{"a default profile of Amazon", all([]string{".aws/credentials: " + in("default", foreign)}, stored), "of docker login"},
	{"a default profile of Amazon, and nothing stored", []string{".aws/credentials: " + in("default", foreign)}, "an access key of this registry"},
	{"a default profile with a wrong secret", all([]string{".aws/credentials: [default]\naws_access_key_id=AKIAENV\naws_secret_access_key=x"}, stored), "InvalidSignatureException"},
	{"a default profile of SSO", all([]string{".aws/config: [default]\nsso_session = corp"}, stored), "of docker login"},
	{"a default profile without keys", all([]string{".aws/config: [default]\nregion = eu-west-1"}, stored), "of docker login"},
}

func TestSources(t *testing.T) {
	for _, test := range sourceTests {
		t.Run(test.name, func(t *testing.T) {
			r := newRegistry(t)
			h := newHome(t, r)
			for _, s := range test.setup {
				s = strings.NewReplacer("HOME", h.dir, "SERVER", r.host()).Replace(s)
				if name, content, isFile := strings.Cut(s, ": "); isFile {
					h.write(t, name, content)
				} else {
					name, value, _ := strings.Cut(s, "=")
					h.env[name] = value
				}
			}
			if strings.HasPrefix(test.want, "login:") || test.want == "of docker login" {
				h.wantLogin(t, r.host(), test.want)
			} else {
				h.wantError(t, r.host(), test.want)
			}
		})
	}
}

func TestRegionOfAProfile(t *testing.T) {
	r := newRegistry(t)
	h := newHome(t, r)
	delete(h.env, "AWS_REGION")
	h.env["AWS_PROFILE"] = "ci"
	h.write(t, ".aws/credentials", in("ci", ours))
	h.wantError(t, r.host(), "us-east-1")
	h.write(t, ".aws/config", "[profile ci]\nregion = "+region+"\n")
	h.wantLogin(t, r.host(), "login:of:profile:1")
}

func TestSessionName(t *testing.T) {
	r := newRegistry(t)
	h := newHome(t, r)
	h.env["AWS_ROLE_ARN"] = role
	h.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = h.write(t, "token", "token of alice")
	h.wantLogin(t, r.host(), "login:of:session:1")
	if got := r.session.Load(); got != "berth-credential-helper" {
		t.Errorf("the session is called %v", got)
	}
	h.env["AWS_ROLE_SESSION_NAME"] = "build-17"
	h.wantLogin(t, r.host(), "login:of:session:2")
	if got := r.session.Load(); got != "build-17" {
		t.Errorf("the session is called %v", got)
	}
}
