// Package sts is the face that speaks like AWS STS, as far as a registry needs it: who a
// request is from, temporary credentials for who has an access key, and for CI jobs that
// take on a role with the token of their provider.
//
// It speaks AWS's Query protocol: a form in, XML out. What has to be signed is verified
// by package sigv4, tokens by package oidc; who may take on a role is decided by
// [berth/auth.Roles], and credentials are made by package accesskey. Nothing is kept.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
package sts
