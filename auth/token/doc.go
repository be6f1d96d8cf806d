// Package token gives out and checks the tokens of docker's token protocol: short
// JSON Web Tokens that say who has them and for which repositories they are good.
//
// [Issuer] signs them with ES256 and verifies them; its keys change by themselves
// and are shared through a [KeyStore]. [Handler] is the endpoint clients ask.
//
// https://distribution.github.io/distribution/spec/auth/token/ and, for POST,
// https://distribution.github.io/distribution/spec/auth/oauth/.
package token
