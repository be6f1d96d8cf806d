package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
)

// report is what the suite writes to junit.xml, as far as it is of use here.
type report struct {
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Skipped  int    `xml:"skipped,attr"`
	Disabled int    `xml:"disabled,attr"`
	Time     string `xml:"time,attr"`
	Cases    []struct {
		Name   string `xml:"name,attr"`
		Status string `xml:"status,attr"` // passed, skipped (disabled too), failure or error
		Out    string `xml:"system-out"`  // why it did not pass
	} `xml:"testsuite>testcase"`
}

// readReport parses the report at path.
func readReport(path string) (report, error) {
	var r report
	b, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	return r, xml.Unmarshal(b, &r)
}

// print writes every test that did not pass, with the reason, and the totals.
func (r report) print(w io.Writer) {
	for _, c := range r.Cases {
		if c.Status != "passed" {
			fmt.Fprintf(w, "%s: %s\n", strings.ToUpper(c.Status), c.Name)
			if out := strings.TrimSpace(c.Out); out != "" {
				fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(out, "\n", "\n    "))
			}
		}
	}
	fmt.Fprintf(w, "OCI conformance: %d tests in %s s: %d passed, %d failed, %d errors, %d skipped, %d disabled\n",
		r.Tests, r.Time, r.passed(), r.Failures, r.Errors, r.Skipped, r.Disabled)
}

// passed is what is left of the tests.
func (r report) passed() int {
	return r.Tests - r.Failures - r.Errors - r.Skipped - r.Disabled
}

// verdict is nil only if there were tests and all of them passed.
func (r report) verdict() error {
	switch {
	case r.Tests == 0:
		return fmt.Errorf("the suite ran no test")
	case r.passed() != r.Tests:
		return fmt.Errorf("%d of %d tests did not pass", r.Tests-r.passed(), r.Tests)
	}
	return nil
}
