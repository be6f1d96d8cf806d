package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"

	"berth/scan"
	"berth/scan/vex"
)

// page is documentation with commands in it.
const page = "../../docs/scanning.md"

// elsewhere are commands of the page that need what is not there in a test of this package: a
// scanner, docker, other registries. For each there is a file that has it tried out, and what
// in there does so.
var elsewhere = []struct{ command, file, proof string }{
	{"make build scanner", "../../Makefile", `(?m)^scanner: `},
	{"bin/berth serve", "testdata/supervision.txtar", `exec berth serve`},
	{"berth scan db update", "testdata/scandb.txtar", `exec berth scan db update --scan-db`},
	{"berth scan db import trivy-db", scanScript, `exec oras copy .*--to-oci-layout(?s:.*)scan db import layout`},
	{"berth scan db import trivy-java-db", "testdata/scandb.txtar", `exec berth scan db import java.tar.gz`},
	{"berth doctor --online", "testdata/scandb.txtar", `exec berth doctor .*--online`},
	{"berth-scanner --registry", "../berth-scanner/main_test.go", `--registry`},
	{"berth scan run team/app --anew --wait", scanScript, `exec berth scan run .* --anew --wait`},
	{"docker push", scanScript, `exec docker push`},
	{"aws ecr create-repository", scanScript, `\$ECR create-repository .* --image-scanning-configuration scanOnPush=true`},
	{"aws ecr put-image-scanning-configuration", "../../conformance/ecr/repositories_test.go", `PutImageScanningConfiguration`},
	{"aws ecr put-registry-scanning-configuration", "../../conformance/ecr/settings_test.go", `PutRegistryScanningConfiguration`},
	{"aws ecr batch-get-repository-scanning-configuration", "../../conformance/ecr/settings_test.go", `BatchGetRepositoryScanningConfiguration`},
	{"aws ecr wait image-scan-complete", scanScript, `\$ECR wait image-scan-complete`},
	{"aws ecr describe-image-scan-findings", scanScript, `\$ECR describe-image-scan-findings`},
	{"oras copy --to-oci-layout", scanScript, `exec oras copy .*--to-oci-layout`},
	{"oras copy --from-oci-layout", "testdata/scandb.txtar", `--from-repository ops/trivy-db:2`},
	{"tar cf", "testdata/scandb.txtar", `exec berth scan db import`},
	{"oras attach", scanScript, `exec oras attach .*--artifact-type application/vnd.openvex\+json`},
	{"cosign attest", scanScript, `exec cosign attest .*--type openvex --predicate`},
}

// scanScript has docker, aws and oras meet a real scanner.
const scanScript = "../../conformance/clients/testdata/scan.txtar"

// TestPage runs the commands of the page in their order, beside a server with a scanner that
// finds what the page says, and compares what is printed: … stands for anything, and so does
// the room between columns.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("commands come one after the other; the race detector makes them slow and finds nothing")
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	script, commands := pageScript(t, string(text))
	if commands < 25 {
		t.Errorf("%d commands are not the page", commands)
	}
	checkVEX(t, string(text))
	prelude, err := os.ReadFile("testdata/page/prelude.txtar")
	if err != nil {
		t.Fatal(err)
	}
	before, files, found := strings.Cut(string(prelude), "\n-- ")
	if !found {
		t.Fatal("the prelude has no files")
	}
	file := filepath.Join(t.TempDir(), "scanning.txtar")
	if err := os.WriteFile(file, []byte(before+"\n"+script+"\nsignal TERM\nwait serve\n-- "+files), 0o600); err != nil {
		t.Fatal(err)
	}
	runScripts(t, testscript.Params{Files: []string{file}})
}

// pageScript makes a script of the commands in a text that can be run here, and says how
// many they are.
func pageScript(t *testing.T, text string) (script string, commands int) {
	var b strings.Builder
	for _, block := range regexp.MustCompile("(?ms)^```(sh|console)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		shown := block[1] == "console"
		lines := strings.Split(strings.TrimSuffix(block[2], "\n"), "\n")
		for len(lines) > 0 {
			var command string
			command, lines = cutCommand(lines, shown)
			var output []string
			for shown && len(lines) > 0 && !strings.HasPrefix(lines[0], "$ ") {
				output, lines = append(output, lines[0]), lines[1:]
			}
			if isElsewhere(t, command) {
				continue
			}
			commands++
			fmt.Fprintf(&b, "exec sh -c '%s'\n", strings.ReplaceAll(command, "'", "''"))
			if shown {
				fmt.Fprintf(&b, "stdout '%s'\n", strings.ReplaceAll(patternOf(output), "'", "''"))
			}
		}
	}
	return b.String(), commands
}

// cutCommand takes a command off the lines of a block: to the end of its line, or of the
// document that it reads, without the comment behind it.
func cutCommand(lines []string, shown bool) (command string, rest []string) {
	command, rest = lines[0], lines[1:]
	if shown {
		command = strings.TrimPrefix(command, "$ ")
	}
	command = regexp.MustCompile(`\s+# .*$`).ReplaceAllString(command, "")
	for strings.HasSuffix(command, `\`) && len(rest) > 0 {
		command, rest = strings.TrimSuffix(command, `\`)+strings.TrimSpace(rest[0]), rest[1:]
	}
	if _, end, is := strings.Cut(command, "<<'"); is {
		end = strings.TrimSuffix(end, "'")
		// A script has no lines with line breaks in them.
		var document []string
		for len(rest) > 0 && rest[0] != end {
			document, rest = append(document, rest[0]), rest[1:]
		}
		rest = rest[min(1, len(rest)):]
		command, _, _ = strings.Cut(command, " <<")
		command = "echo '" + strings.Join(document, " ") + "' | " + command
	}
	return command, rest
}

// isElsewhere reports whether a command is tried out somewhere else, and sees that it is.
func isElsewhere(t *testing.T, command string) bool {
	for _, e := range elsewhere {
		if command != e.command && !strings.HasPrefix(command, e.command+" ") {
			continue
		}
		content, err := os.ReadFile(e.file)
		if err != nil {
			t.Errorf("nothing tries %q out: %v", command, err)
		} else if !regexp.MustCompile(e.proof).Match(content) {
			t.Errorf("%s does not try %q out: it has no %s", e.file, command, e.proof)
		}
		return true
	}
	return false
}

// patternOf is a regular expression of what a command prints, as the page shows it.
func patternOf(output []string) string {
	for i, line := range output {
		line = regexp.QuoteMeta(strings.TrimRight(line, " "))
		line = strings.ReplaceAll(line, "…", ".*")
		output[i] = regexp.MustCompile(` {2,}`).ReplaceAllString(line, " +") + " *"
	}
	return `(?s:\A)` + strings.Join(output, `\n`) + `\n(?s:\z)`
}

// checkVEX sees that the VEX document of a page takes a finding out of its image, and nothing else.
func checkVEX(t *testing.T, text string) {
	_, after, _ := strings.Cut(text, "```json\n")
	document, _, _ := strings.Cut(after, "```\n")
	parsed, err := vex.Parse([]byte(document), func(string, string) bool { return false })
	if err != nil {
		t.Fatalf("%v:\n%s", err, document)
	}
	finding := func(id, pkg, purl string) scan.Finding {
		return scan.Finding{ID: id, Package: scan.Package{Name: pkg, PURL: purl}}
	}
	left, out, _ := scan.Exclusions{
		Repository: "team/app", Digest: digest.FromString("image"), Documents: []scan.VEXDocument{parsed},
	}.Apply([]scan.Finding{
		finding("CVE-2021-23337", "lodash", "pkg:npm/lodash@4.17.4"),
		finding("CVE-2021-23337", "lodash.template", "pkg:npm/lodash.template@4.5.0"),
		finding("CVE-2024-6119", "libssl3", "pkg:apk/alpine/libssl3@3.3.1-r0"),
	}, time.Now())
	if len(left) != 2 || len(out) != 1 || out[0].Package.Name != "lodash" {
		t.Errorf("left are %v, and out are %v", left, out)
	}
}
