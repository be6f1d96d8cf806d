// Package registry is the vocabulary of berth: what a repository, a manifest, a
// tag, a blob and an upload are, what a registry can be asked ([Registry]), and
// what can go wrong ([Error]).
//
// It knows neither HTTP nor SQL nor where bytes lie. The workings stand beside it:
// engine is the registry itself, oci puts any [Registry] behind the distribution
// protocol, registrytest says what every [Registry] must do.
//
// The law of the protocol is the OCI distribution specification,
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
package registry
