package auth

import (
	"fmt"
	"slices"

	"berth/registry"
)

// The verbs of docker's tokens, in the order in which scopes list them.
const (
	Pull   = "pull"
	Push   = "push"
	Delete = "delete"
)

// verbActions are the actions that each verb covers: a token needs the verb for
// any of them, and a grant of the verb allows all of them.
var verbActions = map[string][]Action{
	Pull:   {BatchCheckLayerAvailability, BatchGetImage, GetDownloadUrlForLayer, ListImages, DescribeImages, DescribeRepositories},
	Push:   {BatchCheckLayerAvailability, InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage},
	Delete: {BatchDeleteImage},
}

var verbs = []string{Pull, Push, Delete}

// verbsFor are the verbs one of which a token must hold for an action; anything
// docker has no word for needs a token for everything.
var verbsFor = func() map[Action][]string {
	m := map[Action][]string{}
	for _, a := range actions {
		for _, verb := range verbs {
			if slices.Contains(verbActions[verb], a) {
				m[a] = append(m[a], verb)
			}
		}
		if m[a] == nil {
			m[a] = []string{"*"}
		}
	}
	return m
}()

// GrantDocument writes a custom policy that allows verbs ([Pull], [Push], [Delete])
// on the repositories at l that match one of patterns, such as "team/*".
// It answers ErrPolicyInvalid.
func GrantDocument(l Location, patterns, verbs []string) (string, error) {
	if len(patterns) == 0 || len(verbs) == 0 {
		return "", fmt.Errorf("%w: name at least one repository and one of pull, push and delete", ErrPolicyInvalid)
	}
	var granted []Action
	for _, verb := range verbs {
		covered, ok := verbActions[verb]
		if !ok {
			return "", fmt.Errorf("%w: %q is none of pull, push and delete", ErrPolicyInvalid, verb)
		}
		for _, a := range covered {
			if !slices.Contains(granted, a) {
				granted = append(granted, a)
			}
		}
	}
	resources := make([]string, 0, len(patterns))
	for _, p := range patterns {
		if err := checkPattern(p); err != nil {
			return "", fmt.Errorf("%w: %w", ErrPolicyInvalid, err)
		}
		resources = append(resources, l.ARN(registry.Name(p)))
	}
	document := encodePolicy(
		documentStatement{Sid: "Login", Effect: Allow, Action: []Action{GetAuthorizationToken}, Resource: []string{"*"}},
		documentStatement{Sid: "Repositories", Effect: Allow, Action: granted, Resource: resources},
	)
	_, err := ParsePolicy("", document)
	return document, err
}

// anonymousPolicy allows anyone to pull from the repositories that match patterns.
func anonymousPolicy(l Location, patterns []string) ([]*Policy, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	document, err := GrantDocument(l, patterns, []string{Pull})
	if err != nil {
		return nil, fmt.Errorf("anonymous pull: %w", err)
	}
	p, err := ParsePolicy("anonymous-pull", document)
	return []*Policy{p}, err
}
