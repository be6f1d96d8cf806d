package clients

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"berth/conformance/internal/server"
)

// helperName is what docker runs for the credHelper "berth".
const helperName = "docker-credential-berth"

// accessKey is what the API of ECR is signed with.
type accessKey struct {
	ID     string `json:"accessKeyId"`
	Secret string `json:"secretAccessKey"`
}

// The accounts beside the administrator, by name, with the policy that each has, if any. Their password is strangerPassword.
var strangers = map[string]string{"writer": "AmazonEC2ContainerRegistryPowerUser", "reader": ""}

const strangerPassword = "of-a-stranger-3Kq9"

// createStrangers makes those accounts. flags lead berth to the data.
func createStrangers(bin string, flags ...string) error {
	for name, policy := range strangers {
		args := []string{"user", "add", name, "--log-level", "error"}
		if policy != "" {
			args = append(args, "--policy", policy)
		}
		cmd := exec.Command(bin, append(args, flags...)...)
		cmd.Stdin = strings.NewReader(strangerPassword)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("berth user add: %w: %s", err, out)
		}
	}
	return nil
}

// createKey gives the administrator an access key. flags lead berth to the data.
func createKey(bin string, flags ...string) (k accessKey, err error) {
	cmd := exec.Command(bin, append([]string{"key", "create", server.User, "--output", "json", "--log-level", "error"}, flags...)...)
	out, err := cmd.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			err = fmt.Errorf("%w: %s", err, e.Stderr)
		}
		return k, fmt.Errorf("berth key create: %w", err)
	}
	return k, json.Unmarshal(out, &k)
}
