package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
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
	{"berth scan db import trivy-db", scanScript, `berth scan db import`},
	{"berth scan db import trivy-java-db", "testdata/scandb.txtar", `exec berth scan db import java.tar.gz`},
	{"berth doctor --online", "testdata/scandb.txtar", `exec berth doctor .*--online`},
	{"berth-scanner --registry", "../berth-scanner/main_test.go", `--registry`},
	{"docker push", scanScript, `docker push`},
	{"aws ecr create-repository", "../../conformance/clients/testdata/aws.txtar", `ecr create-repository .*--image-scanning-configuration scanOnPush=true`},
	{"aws ecr put-image-scanning-configuration", scanScript, `ecr put-image-scanning-configuration|--image-scanning-configuration scanOnPush=true`},
	{"aws ecr put-registry-scanning-configuration", "../../registry/ecr/scanning_test.go", `"PutRegistryScanningConfiguration"`},
	{"aws ecr batch-get-repository-scanning-configuration", "../../registry/ecr/scanning_test.go", `"BatchGetRepositoryScanningConfiguration"`},
	{"aws ecr wait image-scan-complete", scanScript, `ecr wait image-scan-complete`},
	{"aws ecr describe-image-scan-findings", scanScript, `ecr describe-image-scan-findings`},
	{"oras copy --to-oci-layout", scanScript, `oras (copy|cp) .*--to-oci-layout`},
	{"oras copy --from-oci-layout", "testdata/scandb.txtar", `--from-repository ops/trivy-db:2`},
	{"tar cf", "testdata/scandb.txtar", `exec berth scan db import`},
	{"oras attach", "testdata/gates.txtar", `exec berth scan vex list`},
	{"cosign attest", scanScript, `cosign attest|oras attach`},
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
