package ecr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/registry"
	"berth/registry/ecr"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

const account = "111122223333"

// face is the API on an empty registry, in which user "admin" may do everything and
// anybody else nothing.
type face struct {
	*ecr.Server
	engine  *engine.Engine
	db      *meta.DB
	changes []string
	screen  func(*http.Request) error // nil lets everybody through
}

func newFace(t *testing.T, changed ...func(*ecr.Options)) *face {
	t.Helper()
	db, err := meta.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "berth.db"), meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := &face{db: db, engine: engine.New(db, mem.New(), engine.Options{CreateOnPush: true})}
	err = db.PutPolicy(t.Context(), auth.StoredPolicy{Name: "tagger", Document: taggerPolicy})
	if err != nil {
		t.Fatal(err)
	}
	for name, policies := range map[string][]string{"admin": {auth.FullAccess}, "mallory": nil, "tagger": {"tagger"}} {
		if err := db.CreateAccount(t.Context(), auth.Account{Name: name, Kind: auth.User}, policies...); err != nil {
			t.Fatal(err)
		}
	}
	location := auth.Location{Region: "eu-test-1", Account: account}
	access, err := auth.NewAccess(db, auth.Options{Location: location})
	if err != nil {
		t.Fatal(err)
	}
	opts := ecr.Options{
		Location: location,
		Authenticate: func(r *http.Request, _ []byte) (auth.Principal, error) {
			return auth.Principal{Name: r.Header.Get("X-User"), Kind: auth.User}, nil
		},
		Screen: func(r *http.Request) error {
			if f.screen == nil {
				return nil
			}
			return f.screen(r)
		},
		Authorize: access.Authorize,
		May:       access.May,
		Visible:   access.Visible,
		Password: func(context.Context, auth.Principal) (string, time.Time, error) {
			return "secret", time.Unix(1700000000, 123e6), nil
		},
		Endpoint: func(*http.Request) string { return "https://registry.test:5000" },
		LayerURL: func(_ context.Context, endpoint string, repo registry.Name, d digest.Digest) (string, error) {
			return fmt.Sprintf("%s/layers/%s/%s", endpoint, repo, d), nil
		},
		Policies: policies{},
		Changed: func(_ context.Context, c ecr.Change) {
			f.changes = append(f.changes, fmt.Sprint(c.Who, " ", c.Action, " ", c.Repository, " ", c.Images, " ", c.Err))
		},
	}
	for _, change := range changed {
		change(&opts)
	}
	f.Server = ecr.New(f.engine, f.engine, opts)
	return f
}

// allow makes a user who may do these actions, and nothing else.
func (f *face) allow(t *testing.T, user string, actions ...string) {
	t.Helper()
	document, err := json.Marshal(members{"Version": "2012-10-17", "Statement": members{"Effect": "Allow", "Action": actions, "Resource": "*"}})
	if err != nil {
		t.Fatal(err)
	}
	err = f.db.PutPolicy(t.Context(), auth.StoredPolicy{Name: user, Document: string(document)})
	if err != nil {
		t.Fatal(err)
	}
	err = f.db.CreateAccount(t.Context(), auth.Account{Name: user, Kind: auth.User}, user)
	if err != nil && !errors.Is(err, auth.ErrAccountExists) {
		t.Fatal(err)
	}
}

// policies accepts what is a JSON object.
type policies struct{}

func (policies) ParseRepositoryPolicy(_ context.Context, text string, _ registry.Name, _ bool) error {
	if !json.Valid([]byte(text)) || !strings.HasPrefix(text, "{") {
		return fmt.Errorf("%w: it is not an object", auth.ErrPolicyInvalid)
	}
	return nil
}

func (p policies) ParseRegistryPolicy(ctx context.Context, text string) error {
	return p.ParseRepositoryPolicy(ctx, text, "", true)
}

func (policies) ParseLifecyclePolicy(text string) error {
	if !json.Valid([]byte(text)) {
		return errors.New("Lifecycle policy validation failure: it is not JSON")
	}
	return nil
}

type members map[string]any

// raw sends a body as user and returns the status and the answer.
func (f *face) raw(user, operation string, body []byte) (int, members, http.Header) {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."+operation)
	r.Header.Set("X-User", user)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	var answer members
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		answer = members{"not JSON": w.Body.String()}
	}
	return w.Code, answer, w.Result().Header
}

// do sends an input as the administrator.
func (f *face) do(t *testing.T, operation string, in members) members {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	status, answer, _ := f.raw("admin", operation, b)
	if status == http.StatusOK {
		return answer
	}
	return members{"failed": answer["__type"], "message": answer["message"], "all": answer}
}

// push brings an image into a repository.
func (f *face) push(t *testing.T, repo registry.Name, image registrytest.Image, tags ...registry.Tag) {
	t.Helper()
	for _, child := range image.Children {
		f.push(t, repo, child)
	}
	for _, b := range image.Blobs {
		if _, err := f.engine.PutBlob(t.Context(), repo, b.Chunk(), b.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.engine.PutManifest(t.Context(), repo, image.Manifest, tags); err != nil {
		t.Fatal(err)
	}
}

// named has inputs name a repository of two characters, as ECR demands.
func named(in members) members {
	in = maps.Clone(in)
	if in["repositoryName"] == "r" {
		in["repositoryName"] = "rr"
	}
	return in
}

func TestInputsAreOfAllOperations(t *testing.T) {
	known := ecr.Operations()
	slices.Sort(known)
	if tested := slices.Sorted(maps.Keys(inputs)); !slices.Equal(known, tested) {
		t.Errorf("operations %v\ntested     %v", known, tested)
	}
	if len(known) != 62+4 {
		t.Errorf("%d operations, want the 62 of Amazon ECR and our 4", len(known))
	}
}

// TestBadInput sends each operation what is no input for it.
func TestBadInput(t *testing.T) {
	f := newFace(t)
	for operation, in := range inputs {
		in := named(in)
		refused := func(what string, bad any, types ...string) {
			t.Helper()
			b, ok := bad.([]byte)
			if !ok {
				b, _ = json.Marshal(bad)
			}
			status, answer, _ := f.raw("admin", operation, b)
			if typ, _ := answer["__type"].(string); status != http.StatusBadRequest || !slices.Contains(types, typ) || answer["message"] == "" {
				t.Errorf("%s with %s: %d %v, want one of %v", operation, what, status, answer, types)
			}
		}
		invalid := []string{"InvalidParameterException", "ValidationException", "InvalidTagParameterException"}
		for _, body := range []string{`[]`, `null`, `"x"`, `{`, `{"a":`, `{} {}`, "\xff", strings.Repeat(`{"a":`, 10_001)} {
			refused(fmt.Sprintf("the body %.20q", body), []byte(body), "SerializationException")
		}
		for member, value := range in {
			bad := maps.Clone(in)
			delete(bad, member)
			refused("no "+member, bad, invalid...)
			bad[member] = nil
			refused("null for "+member, bad, invalid...)
			switch value.(type) {
			case string:
				for _, v := range []any{7, []any{"x"}, members{}} {
					bad[member] = v
					refused(fmt.Sprint(v, " for ", member), bad, "SerializationException")
				}
				if member != "policyText" && member != "imageManifest" && member != "layerPartBlob" && member != "lifecyclePolicyText" {
					bad[member] = strings.Repeat("x", 3000) + "\n"
					if member != "replicationBackfillId" && member != "upstreamRegistryUrl" {
						refused("a bad "+member, bad, invalid...)
					}
				}
			default:
				bad[member] = "x"
				refused("a string for "+member, bad, "SerializationException")
			}
		}
		if in["repositoryName"] != nil {
			for _, name := range []string{"", "x", "UPPER", "a//b", "a/", "/a", "-a", "a..b", strings.Repeat("a", 257), "a b", "ä", "../a"} {
				bad := maps.Clone(in)
				bad["repositoryName"] = name
				refused("the name "+name, bad, invalid...)
			}
			bad := maps.Clone(in)
			bad["registryId"] = "12"
			refused("a bad registryId", bad, invalid...)
			bad["registryId"] = "999988887777"
			refused("another registry", bad, "RepositoryNotFoundException")
		}
	}
}

// TestUnknownMembers: what is not known is ignored.
func TestUnknownMembers(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "rr", "somethingNew": members{"a": []any{1}}})
	if got := f.do(t, "DescribeRepositories", members{"more": 1}); len(got["repositories"].([]any)) != 1 {
		t.Error(got)
	}
}

func TestTargets(t *testing.T) {
	f := newFace(t)
	for target, want := range map[string]string{
		"": "UnknownOperationException", "ListImages": "UnknownOperationException",
		"AmazonEC2ContainerRegistry_V20150921.":             "UnknownOperationException",
		"AmazonEC2ContainerRegistry_V20150921.DropDatabase": "UnknownOperationException",
		"AmazonEC2ContainerRegistry_V20150921.listImages":   "UnknownOperationException",
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.Header.Set("X-Amz-Target", target)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: %d %s", target, w.Code, w.Body)
		}
	}
}

// TestLargeBodies: a body of 10 MB is refused, but for parts of layers, of which one of
// 20 MiB is taken.
func TestLargeBodies(t *testing.T) {
	f := newFace(t)
	large := []byte(`{"repositoryName":"rr","x":"` + strings.Repeat("x", 10<<20) + `"}`)
	for _, operation := range []string{"CreateRepository", "PutImage"} {
		if status, answer, _ := f.raw("admin", operation, large); status != http.StatusRequestEntityTooLarge || answer["__type"] != "RequestEntityTooLargeException" {
			t.Errorf("%s: %d %v", operation, status, answer["__type"])
		}
	}
	f.do(t, "CreateRepository", members{"repositoryName": "rr"})
	id := f.do(t, "InitiateLayerUpload", members{"repositoryName": "rr"})["uploadId"]
	for size, want := range map[int]any{20 << 20: nil, 20<<20 + 1: "InvalidParameterException"} {
		got := f.do(t, "UploadLayerPart", members{
			"repositoryName": "rr", "uploadId": id, "partFirstByte": 0, "partLastByte": size - 1, "layerPartBlob": make([]byte, size),
		})
		if got["failed"] != want {
			t.Errorf("a part of %d bytes: %v", size, got["failed"])
		}
	}
}

// TestNobodyLearns: who may do nothing hears the same whether a repository is there or not.
func TestNobodyLearns(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "there"})
	for operation, in := range inputs {
		in := named(in)
		var answers []string
		for _, repo := range []string{"there", "absent"} {
			in := maps.Clone(in)
			for member, value := range map[string]any{
				"repositoryName": repo, "repositoryNames": []any{repo}, "resourceArn": "arn:aws:ecr:eu-test-1:111122223333:repository/" + repo,
			} {
				if in[member] != nil {
					in[member] = value
				}
			}
			b, _ := json.Marshal(in)
			status, answer, _ := f.raw("mallory", operation, b)
			text, _ := answer["message"].(string)
			answers = append(answers, fmt.Sprint(status, answer["__type"], strings.ReplaceAll(text, repo, "REPO")))
			if answer["__type"] != "AccessDeniedException" && operation != "DescribeRepositories" {
				t.Errorf("%s: %d %v", operation, status, answer)
			}
		}
		if answers[0] != answers[1] {
			t.Errorf("%s: %v", operation, answers)
		}
	}
	if len(f.changes) != 1 {
		t.Errorf("changes %v", f.changes)
	}
}

// taggerPolicy allows what its conditions say of the request.
const taggerPolicy = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Action":["ecr:CreateRepository","ecr:TagResource"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"a"}}},
	{"Effect":"Allow","Action":"ecr:UntagResource","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}},
	{"Effect":"Allow","Action":"ecr:PutAccountSetting","Resource":"*","Condition":{"StringEquals":{"ecr:AccountSetting":"BLOB_MOUNTING"}}}]}`

func TestConditionsOnRequests(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "rr"})
	arn := "arn:aws:ecr:eu-test-1:111122223333:repository/rr"
	tags := func(key, value string) []any { return []any{members{"Key": key, "Value": value}} }
	for _, test := range []struct {
		operation string
		in        members
		allowed   bool
	}{
		{"CreateRepository", members{"repositoryName": "r1", "tags": tags("team", "a")}, true},
		{"CreateRepository", members{"repositoryName": "r2", "tags": tags("team", "b")}, false},
		{"CreateRepository", members{"repositoryName": "r3"}, false},
		{"TagResource", members{"resourceArn": arn, "tags": tags("team", "a")}, true},
		{"TagResource", members{"resourceArn": arn, "tags": tags("other", "a")}, false},
		{"UntagResource", members{"resourceArn": arn, "tagKeys": []any{"team"}}, true},
		{"UntagResource", members{"resourceArn": arn, "tagKeys": []any{"team", "x"}}, false},
		{"PutAccountSetting", members{"name": "BLOB_MOUNTING", "value": "ENABLED"}, true},
		{"PutAccountSetting", members{"name": "REGISTRY_POLICY_SCOPE", "value": "V2"}, false},
	} {
		b, err := json.Marshal(test.in)
		if err != nil {
			t.Fatal(err)
		}
		status, answer, _ := f.raw("tagger", test.operation, b)
		if (status == http.StatusOK) != test.allowed || !test.allowed && answer["__type"] != "AccessDeniedException" {
			t.Errorf("%s %s: %d %v", test.operation, b, status, answer)
		}
	}
}
