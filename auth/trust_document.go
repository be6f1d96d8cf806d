package auth

import (
	"encoding/json"
	"fmt"
	"strings"
)

// TrustDocument writes the trust policy of a role that those may take on to whom issuer
// gives tokens for one of audiences and, unless there are none, one of subjects. A
// subject may have wildcards. It answers ErrPolicyInvalid.
func TrustDocument(issuer string, audiences, subjects []string) (string, error) {
	issuer, err := ParseIssuer(issuer)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrPolicyInvalid, err)
	}
	for _, s := range append(audiences[:len(audiences):len(audiences)], subjects...) {
		if strings.Contains(s, "${") {
			return "", fmt.Errorf("%w: %q looks like a variable; write the document yourself", ErrPolicyInvalid, s)
		}
	}
	key := issuerKey(issuer)
	conditions := map[string]map[string][]string{}
	if len(audiences) > 0 {
		conditions["StringEquals"] = map[string][]string{key + "aud": audiences}
	}
	if len(subjects) > 0 {
		conditions["StringLike"] = map[string][]string{key + "sub": subjects}
	}
	type statement struct {
		Effect    Effect
		Principal map[string]string
		Action    string
		Condition map[string]map[string][]string
	}
	b, err := json.MarshalIndent(struct {
		Version   string
		Statement []statement
	}{version2012, []statement{{Allow, map[string]string{"Federated": issuer}, assumeRole, conditions}}}, "", "  ")
	if err != nil {
		return "", err
	}
	if _, err := ParseTrust(string(b)); err != nil {
		return "", err
	}
	return string(b), nil
}
