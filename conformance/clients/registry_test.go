package clients

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// registry is the one under test, asked directly to check what the clients say.
type registry struct {
	url      string
	host     string // host:port, as it stands in image names
	user     string
	password string
	key      accessKey // of user; empty if there is no way to make one
}

func newRegistry(base, user, password string) (registry, error) {
	u, err := url.Parse(base)
	if err != nil {
		return registry{}, err
	}
	return registry{url: strings.TrimSuffix(base, "/"), host: u.Host, user: user, password: password}, nil
}

// manifest asks for the digest of name:tag or name@digest; empty means that there is none.
func (r registry) manifest(ref string) (string, error) {
	i := strings.LastIndexAny(ref, "@")
	if i < 0 {
		i = strings.LastIndex(ref, ":")
	}
	if i < 0 {
		return "", fmt.Errorf("%q has neither tag nor digest", ref)
	}
	req, err := http.NewRequest(http.MethodHead, r.url+"/v2/"+ref[:i]+"/manifests/"+ref[i+1:], nil)
	if err != nil {
		return "", err
	}
	req.SetBasicAuth(r.user, r.password)
	for _, t := range []string{
		"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
	} {
		req.Header.Add("Accept", t)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Header.Get("Docker-Content-Digest"), nil
	case http.StatusNotFound:
		return "", nil
	}
	return "", fmt.Errorf("HEAD of manifest %s: %s", ref, resp.Status)
}

// has is the script command `has REF [DIGEST]`. REF may carry the registry's name in front, as clients want it.
func has(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: has REF [DIGEST]")
	}
	ref := strings.TrimPrefix(args[0], target.host+"/")
	got, err := target.manifest(ref)
	ts.Check(err)
	switch {
	case neg && got != "":
		ts.Fatalf("%s is there: %s", ref, got)
	case neg:
	case got == "":
		ts.Fatalf("%s is not there", ref)
	case len(args) == 2 && got != args[1]:
		ts.Fatalf("%s is %s, not %s", ref, got, args[1])
	}
}

// let is the script command `let NAME PATTERN`: the first match of PATTERN's group in the last standard output
// becomes the variable NAME.
func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: let NAME PATTERN")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	m := re.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for the group of %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}
