// Package oidc verifies the tokens with which identity providers say who somebody is: CI
// jobs of GitHub and GitLab, service accounts of Kubernetes.
//
// A token is taken if it is signed with a key that its issuer publishes, and if it is good
// now. The keys are found as OpenID Connect Discovery says, at issuers that are trusted
// and at no others: nobody can make the registry connect somewhere by sending a token.
// Keys are remembered. Whether the token is for us, and what its bearer may do, is for the
// trust policies of roles to say ([berth/auth.Trust]).
//
// https://openid.net/specs/openid-connect-discovery-1_0.html
package oidc
