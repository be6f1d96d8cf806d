package credhelper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	kubeletVersion = "credentialprovider.kubelet.k8s.io/v1"

	// roleAnnotation names the role of a service account. It is that of Amazon's provider.
	roleAnnotation = "eks.amazonaws.com/ecr-role-arn"
)

// kubeletRequest is a CredentialProviderRequest.
type kubeletRequest struct {
	APIVersion          string            `json:"apiVersion"`
	Kind                string            `json:"kind"`
	Image               string            `json:"image"`
	ServiceAccountToken string            `json:"serviceAccountToken"`
	Annotations         map[string]string `json:"serviceAccountAnnotations"`
}

// kubeletResponse is a CredentialProviderResponse.
type kubeletResponse struct {
	APIVersion    string                 `json:"apiVersion"`
	Kind          string                 `json:"kind"`
	CacheKeyType  string                 `json:"cacheKeyType"`
	CacheDuration *string                `json:"cacheDuration,omitempty"`
	Auth          map[string]kubeletAuth `json:"auth"`
}

type kubeletAuth struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Kubelet answers a request of the kubelet, which is about one image. A service account
// that comes with a token and has a role, in its annotation or in AWS_ROLE_ARN, pulls with
// that role; its login is remembered by the kubelet alone. All others pull with what is
// configured on the node.
func (h *Helper) Kubelet(ctx context.Context, in io.Reader, out io.Writer) error {
	var req kubeletRequest
	if err := json.NewDecoder(io.LimitReader(in, maxInput)).Decode(&req); err != nil {
		return errors.New("standard input is not the JSON of a CredentialProviderRequest")
	}
	if req.APIVersion != kubeletVersion || req.Kind != "CredentialProviderRequest" {
		return fmt.Errorf("the request is a %s of %s; known here is CredentialProviderRequest of %s, the apiVersion to configure for this provider",
			clean(req.Kind), clean(req.APIVersion), kubeletVersion)
	}
	server := imageHost(req.Image)
	if server == "" {
		return fmt.Errorf("the image %q has no registry in its name", clean(req.Image))
	}
	resp := kubeletResponse{APIVersion: kubeletVersion, Kind: "CredentialProviderResponse", CacheKeyType: "Registry"}
	login, err := h.kubeletLogin(ctx, server, req)
	switch {
	case errors.Is(err, ErrNotFound):
		// Nothing to log in with is an answer, which may be another one next time.
		resp.cacheFor(0)
	case err != nil:
		return err
	default:
		resp.Auth = map[string]kubeletAuth{server: {login.Username, login.Secret}}
		if !login.Until.IsZero() {
			resp.cacheFor(login.Until.Sub(h.now()))
		}
	}
	return json.NewEncoder(out).Encode(resp)
}

func (h *Helper) kubeletLogin(ctx context.Context, server string, req kubeletRequest) (Login, error) {
	role := req.Annotations[roleAnnotation]
	if role == "" {
		role = h.getenv("AWS_ROLE_ARN")
	}
	if req.ServiceAccountToken == "" || role == "" {
		return h.Login(ctx, server)
	}
	at, err := parseHost(server)
	if err != nil {
		return Login{}, err
	}
	s := webIdentitySource("the token of the service account", h.region(), req.ServiceAccountToken, role, h.getenv("AWS_ROLE_SESSION_NAME"))
	login, err := h.ask(ctx, at, s)
	if err != nil {
		return Login{}, fmt.Errorf("logging in at %s with %s: %w", at, s.name, err)
	}
	return login, nil
}

// cacheFor has the kubelet keep the answer for most of the time that it is good for.
func (r *kubeletResponse) cacheFor(life time.Duration) {
	d := (max(life, 0) * 9 / 10).Round(time.Second).String()
	r.CacheDuration = &d
}
