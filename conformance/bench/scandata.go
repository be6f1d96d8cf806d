package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// vulnerabilities is how many a database of the benchmark knows for each source package of the
// base system: 200 and more in all, about as many as a real one.
const vulnerabilities = 3

// makeDatabase makes a vulnerability database of a time, with the fixtures of Trivy and
// advisories about the base system, and returns its folder.
func makeDatabase(ctx context.Context, dir string, base *baseSystem, at time.Time) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "advisories.yaml")
	if err := os.WriteFile(file, advisories(base, at), 0o644); err != nil {
		return "", err
	}
	folder := filepath.Join(dir, "database")
	out, err := exec.CommandContext(ctx, "go", "run", "berth/conformance/internal/vulndb",
		"-updated", at.UTC().Format(time.RFC3339), folder, file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("making a vulnerability database: %w\n%s", err, out)
	}
	return folder, nil
}

// advisories are made up; their texts are as long as real ones are. The last one of each
// package names the time, so that findings change with the database.
func advisories(base *baseSystem, at time.Time) []byte {
	var packages, texts bytes.Buffer
	for p, source := range base.sources {
		fmt.Fprintf(&packages, "    - bucket: %q\n      pairs:\n", source)
		for n := range vulnerabilities {
			id := fmt.Sprintf("CVE-2099-%d", 10000+p*10+n)
			fmt.Fprintf(&packages, "        - key: %s\n          value: {Severity: %d.0, Status: 5}\n", id, 1+n)
			fmt.Fprintf(&texts, "    - key: %s\n      value:\n", id)
			fmt.Fprintf(&texts, "        Title: %q\n", source+": out of bounds, as known at "+at.UTC().Format(time.RFC3339))
			fmt.Fprintf(&texts, "        Description: %q\n", strings.Repeat("A flaw was found that lets an attacker do what they should not. ", 8))
			fmt.Fprintf(&texts, "        Severity: HIGH\n        CweIDs: [CWE-787]\n        VendorSeverity: {nvd: 3.0, debian: 1.0}\n")
			fmt.Fprintf(&texts, "        CVSS:\n          nvd: {V3Vector: \"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H\", V3Score: 8.1}\n")
			fmt.Fprintf(&texts, "        References: [%q, %q, %q]\n", "https://example.com/"+id, "https://example.com/commit/"+id, "https://example.com/advisory/"+id)
		}
	}
	return fmt.Appendf(nil, `- bucket: data-source
  pairs:
    - key: debian 12
      value: {ID: debian, Name: Debian Security Tracker, URL: "https://security-tracker.debian.org"}
- bucket: debian 12
  pairs:
%s- bucket: vulnerability
  pairs:
%s`, &packages, &texts)
}
