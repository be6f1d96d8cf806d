package ecr_test

import (
	"fmt"
	"strings"
	"testing"

	"berth/registry"
)

// TestScanningFilters has the table of Amazon ECR's manual.
func TestScanningFilters(t *testing.T) {
	names := []string{"prod", "repo-prod", "prod-repo", "repo-prod-repo", "prodrepo"}
	f := newFace(t)
	for _, name := range names {
		f.do(t, "CreateRepository", members{"repositoryName": name})
	}
	for filter, want := range map[string]string{
		"prod":      "prod repo-prod prod-repo repo-prod-repo prodrepo",
		"*prod":     "prod repo-prod",
		"prod*":     "prod prod-repo prodrepo",
		"*prod*":    "prod repo-prod prod-repo repo-prod-repo prodrepo",
		"prod*repo": "prod-repo prodrepo",
	} {
		f.do(t, "PutRegistryScanningConfiguration", members{"rules": []any{members{
			"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": []any{members{"filter": filter, "filterType": "WILDCARD"}},
		}}})
		var matched []string
		for _, c := range f.do(t, "BatchGetRepositoryScanningConfiguration", members{"repositoryNames": names})["scanningConfigurations"].([]any) {
			if c := c.(map[string]any); c["scanOnPush"] == true {
				matched = append(matched, c["repositoryName"].(string))
			}
		}
		if got := strings.Join(matched, " "); got != want {
			t.Errorf("%s matches %q, want %q", filter, got, want)
		}
	}
}

// TestScanningOfRepository: the rules of the registry take the place of a repository's own
// setting, and of several that apply the one that scans most counts.
func TestScanningOfRepository(t *testing.T) {
	rule := func(frequency string, filters ...string) members {
		list := []any{}
		for _, f := range filters {
			list = append(list, members{"filter": f, "filterType": "WILDCARD"})
		}
		return members{"scanFrequency": frequency, "repositoryFilters": list}
	}
	for _, test := range []struct {
		name  string
		in    members
		scan  bool // on push, as the repository says
		wants string
	}{
		{"nothing said", members{}, false, "false MANUAL []"},
		{"by the repository", members{}, true, "true SCAN_ON_PUSH []"},
		{"rules for others", members{"rules": []any{rule("SCAN_ON_PUSH", "other*")}}, true, "false MANUAL []"},
		{"the rule of the first", members{"rules": []any{rule("SCAN_ON_PUSH", "te*", "x*", "*")}}, false, "true SCAN_ON_PUSH [te* *]"},
		{
			"both",
			members{"scanType": "ENHANCED", "rules": []any{rule("SCAN_ON_PUSH", "*"), rule("CONTINUOUS_SCAN", "team")}},
			false, "true CONTINUOUS_SCAN [team]",
		},
		{"enhanced", members{"scanType": "ENHANCED"}, true, "false MANUAL []"},
		{"by hand", members{"rules": []any{rule("MANUAL", "*")}}, true, "false MANUAL [*]"},
	} {
		f := newFace(t)
		var repo registry.Name = "team"
		f.do(t, "CreateRepository", members{"repositoryName": repo, "imageScanningConfiguration": members{"scanOnPush": test.scan}})
		if got := f.do(t, "PutRegistryScanningConfiguration", test.in); got["failed"] != nil {
			t.Fatal(test.name, got)
		}
		c := f.do(t, "BatchGetRepositoryScanningConfiguration", members{"repositoryNames": []any{repo}})["scanningConfigurations"].([]any)[0].(map[string]any)
		var filters []string
		for _, f := range c["appliedScanFilters"].([]any) {
			filters = append(filters, f.(map[string]any)["filter"].(string))
		}
		if got := fmt.Sprint(c["scanOnPush"], " ", c["scanFrequency"], " ", filters); got != test.wants {
			t.Errorf("%s: %s, want %s", test.name, got, test.wants)
		}
	}
}
