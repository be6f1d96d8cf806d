// Package accesskey keeps the AWS-style access keys with which requests are signed: an
// ID that anybody may see, and a secret.
//
// A signature can only be checked by who has the secret itself, so a hash of it would
// not do. What is kept is the secret sealed by a [Sealer], whose own secret is
// configured and not in the database: a dump of the database alone signs nothing.
//
// [Manager] makes and removes the keys of accounts, which last. [Issuer] gives out
// credentials for some hours, of which nothing is kept: all of them stands, sealed, in
// the session token that comes with each request. [Keys] finds the secrets of both for
// sigv4, and [Usage] notes when a key was last used.
package accesskey
