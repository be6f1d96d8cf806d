package credhelper

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// defaultProfile is the profile that is meant if none is named.
const defaultProfile = "default"

// profile is the source in the files of the aws CLI. Errors: errUnconfigured.
func (h *Helper) profile() (source, error) {
	name := h.getenv("AWS_PROFILE")
	named := name != ""
	if !named {
		name = defaultProfile
	}
	config, credentials := h.awsFile("AWS_CONFIG_FILE", "config"), h.awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials")
	p, err := loadProfile(config, credentials, name)
	if err != nil {
		return source{}, err
	}
	if p == nil {
		if named {
			return source{}, fmt.Errorf("there is no profile %q, which AWS_PROFILE names, in %s and %s", name, config, credentials)
		}
		return source{}, errUnconfigured
	}
	s, err := h.profileSource(name, p)
	if errors.Is(err, errUnsupported) && !named {
		return source{}, errUnconfigured
	}
	s.unnamed = !named
	return s, err
}

// awsFile is a file of the aws CLI: the one that a variable names, or that in ~/.aws.
func (h *Helper) awsFile(variable, name string) string {
	if path := h.getenv(variable); path != "" || h.Home == "" {
		return path
	}
	return filepath.Join(h.Home, ".aws", name)
}

// errUnsupported says that a profile has nothing that the helper can use.
var errUnsupported = errors.New("it has neither an access key nor a credential_process nor a web_identity_token_file. " +
	"For others give it credential_process = aws configure export-credentials --format process --profile …")

// profileSource reads the keys of a profile in the order of the SDKs.
func (h *Helper) profileSource(name string, p map[string]string) (source, error) {
	what := fmt.Sprintf("the profile %q", name)
	region := h.region()
	if region == "" {
		region = p["region"]
	}
	id, secret := p["aws_access_key_id"], p["aws_secret_access_key"]
	switch {
	case p["role_arn"] != "" && (p["source_profile"] != "" || p["credential_source"] != ""):
		// A role that is taken on with other keys: that takes an STS we do not have.
	case id != "" && secret != "":
		return staticSource(what, region, aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: p["aws_session_token"]}), nil
	case id != "" || secret != "":
		return source{}, fmt.Errorf("%s has only one of aws_access_key_id and aws_secret_access_key", what)
	case p["web_identity_token_file"] != "" && p["role_arn"] != "":
		return tokenFileSource(what, region, p["web_identity_token_file"], p["role_arn"], p["role_session_name"])
	case p["credential_process"] != "":
		command := p["credential_process"]
		return source{
			name: "the credential_process of " + what, region: region, identity: identity("process", name, command),
			keys: func(ctx context.Context, _ *client) (aws.Credentials, error) { return runProcess(ctx, command, h.Log) },
		}, nil
	}
	return source{}, fmt.Errorf("%s cannot be used here: %w", what, errUnsupported)
}
