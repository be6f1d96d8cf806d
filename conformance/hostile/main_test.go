package hostile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"berth/conformance/internal/server"
)

// repo is where all images are pushed.
const repo = "hostile/image"

// world is a berth whose scanner has small limits, and a database of fixtures.
type world struct {
	*testing.T
	*server.Berth
	bin  string
	data string
	api  *ecr.Client
}

// start starts one, with further arguments of serve.
func start(t *testing.T, args ...string) *world {
	if os.Getenv("BERTH_HOSTILE") == "" {
		t.Skip("set BERTH_HOSTILE=1 to scan hostile images, see conformance/README.md")
	}
	work := t.TempDir()
	w := &world{T: t, bin: binary(t, "BERTH_BIN", "berth"), data: filepath.Join(work, "data")}
	args = append([]string{"--scanner", binary(t, "BERTH_SCANNER_BIN", "berth-scanner")}, args...)
	var err error
	w.Berth, err = server.StartBerth(t.Context(), w.bin, w.data, server.Options{Args: args})
	w.must(err)
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
		if !t.Failed() {
			return
		}
		for line := range strings.Lines(string(read(t, filepath.Join(work, "berth.log")))) {
			if !strings.Contains(line, `"msg":"request"`) {
				t.Log(strings.TrimSpace(line))
			}
		}
	})
	var key struct{ AccessKeyID, SecretAccessKey string }
	w.must(json.Unmarshal(w.command("key", "create", server.User, "-o", "json"), &key))
	url := "http://" + w.Addr
	w.api = ecr.New(ecr.Options{
		BaseEndpoint: &url, Region: "eu-west-1", HTTPClient: http.DefaultClient,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}, nil
		}),
	})
	_, err = w.api.PutRegistryScanningConfiguration(t.Context(), &ecr.PutRegistryScanningConfigurationInput{
		ScanType: types.ScanTypeBasic,
		Rules: []types.RegistryScanningRule{{
			ScanFrequency:     types.ScanFrequencyScanOnPush,
			RepositoryFilters: []types.ScanningRepositoryFilter{{Filter: aws.String("*"), FilterType: types.ScanningRepositoryFilterTypeWildcard}},
		}},
	})
	w.must(err)
	database := filepath.Join(work, "database")
	made := exec.CommandContext(t.Context(), "go", "run", "berth/conformance/internal/vulndb", database,
		"../../scan/trivy/trivytest/testdata/advisories.yaml")
	if out, err := made.CombinedOutput(); err != nil {
		t.Fatalf("making a vulnerability database: %v\n%s", err, out)
	}
	w.command("scan", "db", "import", database)
	return w
}

// binary is the path of one of the two.
func binary(t *testing.T, variable, name string) string {
	path := os.Getenv(variable)
	if path == "" {
		path = filepath.Join("..", "..", "bin", name)
	}
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%s names no binary: %v; make build scanner", variable, err)
	}
	return path
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// command runs a command of berth on its data.
func (w *world) command(args ...string) []byte {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), w.bin, append(args, "--data", w.data)...)
	out, err := cmd.Output()
	var e *exec.ExitError
	if errors.As(err, &e) {
		err = fmt.Errorf("berth %s: %w\n%s", strings.Join(args, " "), err, e.Stderr)
	}
	w.must(err)
	return out
}

// await waits until the scan of an image has ended, and says how.
func (w *world) await(tag string) (status types.ScanStatus, reason string) {
	w.Helper()
	for deadline := time.Now().Add(6 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		out, err := w.api.DescribeImageScanFindings(w.Context(), &ecr.DescribeImageScanFindingsInput{
			RepositoryName: aws.String(repo), ImageId: &types.ImageIdentifier{ImageTag: &tag},
		})
		w.must(err)
		status, reason = out.ImageScanStatus.Status, aws.ToString(out.ImageScanStatus.Description)
		if status != types.ScanStatusPending && status != types.ScanStatusInProgress {
			return status, reason
		}
		if time.Now().After(deadline) {
			w.Fatalf("the scan of %s has not ended: %s %s", tag, status, reason)
		}
	}
}

// findings are those of an image that was scanned, as CVE and package, as often as they are there.
func (w *world) findings(tag string) map[string]int {
	w.Helper()
	all := map[string]int{}
	pages := ecr.NewDescribeImageScanFindingsPaginator(w.api, &ecr.DescribeImageScanFindingsInput{
		RepositoryName: aws.String(repo), ImageId: &types.ImageIdentifier{ImageTag: &tag},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.Context())
		w.must(err)
		for _, f := range page.ImageScanFindings.Findings {
			name := aws.ToString(f.Name)
			for _, a := range f.Attributes {
				if aws.ToString(a.Key) == "package_name" {
					name += " " + aws.ToString(a.Value)
				}
			}
			all[name]++
		}
	}
	return all
}
