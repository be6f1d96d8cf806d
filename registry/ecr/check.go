package ecr

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"berth/registry"
)

// check finds the first member of an input that is not what the model of the API says.
type check struct {
	exception string
	err       *Error
}

func (k *check) fail(member, reason string, args ...any) {
	if k.err == nil {
		k.err = invalid(member, fmt.Sprintf(reason, args...))
		k.err.Type = k.exception
	}
}

func (k *check) required(member string, there bool) {
	if !there {
		k.fail(member, "Member must not be null")
	}
}

// length bounds a text in characters or a list in members.
func (k *check) length(member string, n, least, most int) {
	switch {
	case n < least:
		k.fail(member, "Member must have length greater than or equal to %d", least)
	case n > most:
		k.fail(member, "Member must have length less than or equal to %d", most)
	}
}

func (k *check) value(member string, n, least, most int64) {
	switch {
	case n < least:
		k.fail(member, "Member must have value greater than or equal to %d", least)
	case n > most:
		k.fail(member, "Member must have value less than or equal to %d", most)
	}
}

// enum looks at a member that may be left out.
func (k *check) enum(member, value string, set ...string) {
	if value != "" && !slices.Contains(set, value) {
		k.fail(member, "Member must satisfy enum value set: [%s]", strings.Join(set, ", "))
	}
}

// pattern is a regular expression of the model, which the whole of a text has to match.
type pattern struct {
	text  string
	whole *regexp.Regexp
}

func newPattern(text string) pattern {
	return pattern{text, regexp.MustCompile(`^(?:` + text + `)$`)}
}

func (k *check) matches(member, value string, p pattern) {
	if !p.whole.MatchString(value) {
		k.fail(member, "must satisfy regular expression '%s'", p.text)
	}
}

var (
	registryIDPattern = newPattern(`[0-9]{12}`)
	digestPattern     = newPattern(`[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+`)
	uploadIDPattern   = newPattern(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// nameExpression is how ECR tells of a name that is none.
const nameExpression = `(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*`

func (k *check) repositoryName(member, name string) {
	k.required(member, name != "")
	k.length(member, len(name), 2, registry.MaxNameLength)
	if _, err := registry.ParseName(name); err != nil {
		k.fail(member, "must satisfy regular expression '%s'", nameExpression)
	}
}

func (k *check) registryID(id string) {
	if id != "" {
		k.matches("registryId", id, registryIDPattern)
	}
}

// registryInput is the part of an input that says which registry is meant.
type registryInput struct {
	RegistryID string `json:"registryId"`
}

func (in *registryInput) about() (string, registry.Name) { return in.RegistryID, "" }

func (in *registryInput) validate(k *check) { k.registryID(in.RegistryID) }

// repositoryInput is the part of an input that says which repository is meant.
type repositoryInput struct {
	RegistryID     string        `json:"registryId"`
	RepositoryName registry.Name `json:"repositoryName"`
}

func (in *repositoryInput) about() (string, registry.Name) { return in.RegistryID, in.RepositoryName }

func (in *repositoryInput) validate(k *check) {
	k.registryID(in.RegistryID)
	k.repositoryName("repositoryName", string(in.RepositoryName))
}

// nothing is the input of operations that have none.
type nothing struct{}

func (*nothing) validate(*check) {}

// dedupe leaves out what comes again.
func dedupe[T comparable](list []T) []T {
	var once []T
	for _, x := range list {
		if !slices.Contains(once, x) {
			once = append(once, x)
		}
	}
	return once
}
