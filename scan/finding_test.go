package scan_test

import (
	"testing"

	"berth/scan"
)

func TestScore(t *testing.T) {
	of := func(source, version string) scan.CVSS { return scan.CVSS{Source: source, Version: version} }
	for _, test := range []struct {
		name   string
		scores []scan.CVSS
		want   string
	}{
		{"none", nil, ""},
		{"of who has given the severity", []scan.CVSS{of("redhat", "3.1"), of("debian", "3.0"), of("nvd", "3.1")}, "debian 3.0"},
		{"else of the NVD", []scan.CVSS{of("redhat", "3.1"), of("nvd", "3.1"), of("ghsa", "3.1")}, "nvd 3.1"},
		{"else of the first", []scan.CVSS{of("redhat", "3.1"), of("ghsa", "3.1")}, "redhat 3.1"},
		{"version 3 before others", []scan.CVSS{of("debian", "2.0"), of("debian", "4.0"), of("ghsa", "3")}, "ghsa 3"},
		{"version 4 before 2", []scan.CVSS{of("debian", "2.0"), of("ghsa", "4.0")}, "ghsa 4.0"},
		{"an old one", []scan.CVSS{of("nvd", "2.0")}, "nvd 2.0"},
		{"another standard", []scan.CVSS{of("nvd", "30.1")}, ""},
	} {
		got := ""
		if c, ok := (scan.Finding{Source: "debian", CVSS: test.scores}).Score(); ok {
			got = c.Source + " " + c.Version
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
