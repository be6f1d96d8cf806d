package credhelper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// processTimeout is how long a credential_process may take, as in the SDKs.
const processTimeout = time.Minute

// runProcess asks a credential_process for an access key. What it prints is secret, and so
// may its command line be; what it complains of goes to log.
func runProcess(ctx context.Context, command string, log io.Writer) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, processTimeout)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdout, cmd.Stderr = &out, log
	cmd.WaitDelay = time.Second // for what the shell has started and leaves behind
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return aws.Credentials{}, fmt.Errorf("it failed: %w", err)
	}
	var answer struct {
		Version         int
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      time.Time
	}
	switch err := json.Unmarshal(out.Bytes(), &answer); {
	case err != nil:
		return aws.Credentials{}, errors.New("it has printed something else than the JSON of an access key")
	case answer.Version != 1:
		return aws.Credentials{}, fmt.Errorf("it has answered in version %d; 1 is known here", answer.Version)
	case answer.AccessKeyID == "" || answer.SecretAccessKey == "":
		return aws.Credentials{}, errors.New("its answer lacks AccessKeyId or SecretAccessKey")
	}
	return aws.Credentials{AccessKeyID: answer.AccessKeyID, SecretAccessKey: answer.SecretAccessKey, SessionToken: answer.SessionToken}, nil
}
