// Package auth says who asks and whether they may: principals and their accounts,
// policies in the JSON of AWS IAM, the decision, and [Guard], a registry in which
// every call is first put to it.
//
// A request passes through three hands. [Authenticator] turns its Authorization
// header into a [Principal], which travels in the context. [Access] finds the
// policies that hold for the principal at this moment. [Decide], a function of its
// arguments, gives the answer; a refusal is a [RefusedError], which knows what a
// client has to ask a token for.
//
// The package has not heard of SQL; what it needs kept is the interface [Store].
// It serves no pages either: the token endpoint is next door in token.
package auth
