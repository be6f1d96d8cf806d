package ecr_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"berth/registry/registrytest"
)

// TestTemplatePrefix: a prefix is the same with a slash at its end and without.
func TestTemplatePrefix(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepositoryCreationTemplate", members{"prefix": "team/", "appliedFor": []any{"CREATE_ON_PUSH"}})
	if got := f.do(t, "CreateRepositoryCreationTemplate", members{"prefix": "team", "appliedFor": []any{"CREATE_ON_PUSH"}}); got["failed"] != "TemplateAlreadyExistsException" {
		t.Error(got)
	}
	got := f.do(t, "DescribeRepositoryCreationTemplates", members{"prefixes": []any{"team", "team/", "other"}})
	if list := got["repositoryCreationTemplates"].([]any); len(list) != 1 {
		t.Error(list)
	}
}

// TestTemplatesAskForWhatTheyGive: who puts policies into a template puts them into the
// repositories that it makes.
func TestTemplatesAskForWhatTheyGive(t *testing.T) {
	f := newFace(t)
	allowed := []string{"ecr:CreateRepositoryCreationTemplate", "ecr:UpdateRepositoryCreationTemplate"}
	in := members{
		"prefix": "team", "appliedFor": []any{"CREATE_ON_PUSH"}, "repositoryPolicy": repositoryPolicy,
		"lifecyclePolicy": `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}}]}`,
		"resourceTags":    []any{members{"Key": "a", "Value": "b"}},
	}
	try := func(operation string) string {
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		_, answer, _ := f.raw("templater", operation, b)
		refusal, _ := answer["__type"].(string)
		return refusal
	}
	for _, next := range []string{"ecr:CreateRepository", "ecr:SetRepositoryPolicy", "ecr:PutLifecyclePolicy", "ecr:TagResource"} {
		f.allow(t, "templater", allowed...)
		for _, operation := range []string{"CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"} {
			if got := try(operation); got != "AccessDeniedException" {
				t.Errorf("%s without %s: %q", operation, next, got)
			}
		}
		allowed = append(allowed, next)
	}
	f.allow(t, "templater", allowed...)
	for _, operation := range []string{"CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"} {
		if got := try(operation); got != "" {
			t.Errorf("%s with all of them: %q", operation, got)
		}
	}
	for _, bad := range []members{
		{"appliedFor": []any{}}, {"appliedFor": []any{"CREATE_ON_PUSH", "CREATE_ON_PUSH", "CREATE_ON_PUSH", "CREATE_ON_PUSH"}},
	} {
		bad["prefix"] = "team"
		if got := f.do(t, "UpdateRepositoryCreationTemplate", bad); got["failed"] == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

const repositoryPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:BatchGetImage"}]}`

// TestAuditOfDeletions tells which images are gone, and nothing if none is.
func TestAuditOfDeletions(t *testing.T) {
	f := newFace(t)
	image := registrytest.Recipe{Seed: 1}.Image()
	f.push(t, "rr", image, "a", "b")
	f.do(t, "BatchDeleteImage", members{"repositoryName": "rr", "imageIds": []any{members{"imageTag": "gone"}}})
	if len(f.changes) != 0 {
		t.Errorf("nothing was deleted: %v", f.changes)
	}
	f.do(t, "BatchDeleteImage", members{"repositoryName": "rr", "imageIds": []any{members{"imageTag": "gone"}, members{"imageTag": "a"}}})
	if len(f.changes) != 1 || !strings.Contains(f.changes[0], string(image.Digest)+" a") || strings.Contains(f.changes[0], "gone") {
		t.Errorf("changes %v", f.changes)
	}
}

// TestNUL: a character that databases do not take is refused, wherever it stands, but not what
// only looks like it.
func TestNUL(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "rr"})
	for text, refused := range map[string]bool{`a\u0000b`: true, `\\\u0000`: true, `\\u0000`: false, `\\\\u0000`: false, `\\u0000 \u0000`: true} {
		body := `{"repositoryName":"rr","subjectId":{"imageDigest":"sha256:` + strings.Repeat("0", 64) + `"},"filter":{"artifactTypes":["` + text + `"]}}`
		if status, answer, _ := f.raw("admin", "ListImageReferrers", []byte(body)); (status != 200) != refused {
			t.Errorf("%s: %d %v", text, status, answer)
		}
	}
	token := base64.RawURLEncoding.EncodeToString([]byte(`["","a\u0000"]`))
	if got := f.do(t, "ListImages", members{"repositoryName": "rr", "nextToken": token}); got["failed"] != "InvalidParameterException" {
		t.Error(got)
	}
}
