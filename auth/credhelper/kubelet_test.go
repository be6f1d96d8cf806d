package credhelper_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// kubelet asks as the kubelet does, about an image and with more members of the request.
func (h home) kubelet(t *testing.T, image, more string) string {
	t.Helper()
	var out strings.Builder
	in := fmt.Sprintf(`{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":%q%s}`, image, more)
	if err := h.Kubelet(t.Context(), strings.NewReader(in), &out); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out.String())
}

func (h home) wantKubelet(t *testing.T, image, more, want string) {
	t.Helper()
	if got := h.kubelet(t, image, more); got != want {
		t.Errorf("%s %s: got %s, want %s", image, more, got, want)
	}
}

// response is what the kubelet reads.
func response(duration, auth string) string {
	return `{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":"Registry"` + duration + `,"auth":` + auth + `}`
}

func forTime(d string) string { return `,"cacheDuration":"` + d + `"` }

func TestKubelet(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	now := time.Now().Truncate(time.Second)
	h.Clock = func() time.Time { return now }
	r.clock = h.Clock
	auth := func(password string) string {
		return `{"` + r.host() + `":{"username":"AWS","password":"` + password + `"}}`
	}
	image := r.host() + "/team/app:v1"
	h.wantKubelet(t, image, "", response(forTime("10h48m0s"), auth("login:of:env:1")))
	now = now.Add(10 * time.Hour)
	h.wantKubelet(t, r.host()+"/other@sha256:0", "", response(forTime("1h48m0s"), auth("login:of:env:1")))

	// A service account without a role pulls as the node does.
	const token = `,"serviceAccountToken":"token of pod"`
	h.wantKubelet(t, image, token, response(forTime("1h48m0s"), auth("login:of:env:1")))

	// With a role it pulls by itself. The node's disk learns nothing of that.
	before := len(files(t, h.Cache))
	annotated := token + `,"serviceAccountAnnotations":{"eks.amazonaws.com/ecr-role-arn":"` + role + `"}`
	h.wantKubelet(t, image, annotated, response(forTime("10h48m0s"), auth("login:of:session:2")))
	h.wantKubelet(t, image, annotated, response(forTime("10h48m0s"), auth("login:of:session:3")))
	h.env["AWS_ROLE_ARN"] = role
	h.wantKubelet(t, image, token, response(forTime("10h48m0s"), auth("login:of:session:4")))
	if after := len(files(t, h.Cache)); after != before {
		t.Errorf("there were %d files and are %d", before, after)
	}

	// One whose role is refused does not fall back on the node.
	refused := h.kubelet(t, image, token+`,"serviceAccountAnnotations":{"eks.amazonaws.com/ecr-role-arn":"arn:aws:iam::1:role/x"}`)
	if !strings.Contains(refused, "with the token of the service account: the registry answered AccessDenied") || strings.Contains(refused, "token of pod") {
		t.Errorf("got %s", refused)
	}
}

func TestKubeletWithStoredLogin(t *testing.T) {
	h := newHome(t, newRegistry(t))
	h.wantKubelet(t, "registry.example.com/app", "", response(forTime("0s"), "null"))
	h.wantDocker(t, "store", `{"ServerURL":"registry.example.com","Username":"robot","Secret":"x"}`, "")
	h.wantKubelet(t, "registry.example.com/app", "", response("", `{"registry.example.com":{"username":"robot","password":"x"}}`))
}

func TestKubeletBadInput(t *testing.T) {
	h := withKey(t, newRegistry(t))
	for _, test := range []struct{ in, want string }{
		{"", "is not the JSON"},
		{"[]", "is not the JSON"},
		{"{}", "known here is CredentialProviderRequest of credentialprovider.kubelet.k8s.io/v1"},
		{`{"apiVersion":"credentialprovider.kubelet.k8s.io/v1alpha1","kind":"CredentialProviderRequest","image":"a.example.com/b"}`, "the apiVersion to configure"},
		{`{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","image":"a.example.com/b"}`, "known here is"},
		{`{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest"}`, "has no registry in its name"},
		{`{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"library/alpine"}`, "has no registry in its name"},
		{`{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"a b.example.com/c"}`, "is not the name of a registry"},
	} {
		var out strings.Builder
		err := h.Kubelet(t.Context(), strings.NewReader(test.in), &out)
		if err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
			t.Errorf("%s: got %v and %q, want %s", test.in, err, out.String(), test.want)
		}
	}
	if json.Valid([]byte(h.kubelet(t, "no registry", ""))) {
		t.Error("an error looks like an answer")
	}
}
