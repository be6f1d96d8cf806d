package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// report is what a suite writes to junit.xml, as far as it is of use here.
type report struct {
	Time  string    `xml:"time,attr"`
	Suite testSuite `xml:"testsuite"`
}

// testSuite has the cases, and counts of its own, in the draft's also of what stands above them. It leaves out counts
// that are zero.
type testSuite struct {
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Disabled int        `xml:"disabled,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Name   string `xml:"name,attr"`
	Status string `xml:"status,attr"` // passed, skipped (disabled too), and other words for failures
	Out    string `xml:"system-out"`  // why it did not pass, as the draft's suite tells
	Why    string `xml:"failure"`     // and as the released one does
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

// drop takes tests that were skipped, and might be, out of the report.
func (r *report) drop(unasked []string) {
	r.Suite.Cases = slices.DeleteFunc(r.Suite.Cases, func(c testCase) bool {
		return c.Status == "skipped" && slices.Contains(unasked, c.Name)
	})
}

// print writes the totals and every test that did not pass, with the reason.
func (r report) print(w io.Writer) {
	t := r.Suite
	fmt.Fprintf(w, "%d of %d cases passed in %s s (its own count: %d tests, %d failed, %d errors, %d skipped, %d disabled)\n",
		r.passed(), len(r.Suite.Cases), r.Time, t.Tests, t.Failures, t.Errors, t.Skipped, t.Disabled)
	for _, c := range r.Suite.Cases {
		if c.Status == "passed" {
			continue
		}
		fmt.Fprintf(w, "%s: %s\n", strings.ToUpper(c.Status), c.Name)
		if out := strings.TrimSpace(c.Out + c.Why); out != "" {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(out, "\n", "\n    "))
		}
	}
}

// passed counts the tests that passed.
func (r report) passed() (n int) {
	for _, c := range r.Suite.Cases {
		if c.Status == "passed" {
			n++
		}
	}
	return n
}

// verdict is nil only if there were tests and all of them passed.
func (r report) verdict() error {
	switch {
	case len(r.Suite.Cases) == 0:
		return fmt.Errorf("the suite ran no test")
	case r.Suite.Failures+r.Suite.Errors > 0:
		return fmt.Errorf("the suite counts %d failures and %d errors", r.Suite.Failures, r.Suite.Errors)
	case r.passed() != len(r.Suite.Cases):
		return fmt.Errorf("%d of %d tests did not pass", len(r.Suite.Cases)-r.passed(), len(r.Suite.Cases))
	}
	return nil
}
