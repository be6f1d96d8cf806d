// Package sigv4 checks that a request was signed with an AWS access key: Signature
// Version 4, in the Authorization header or, presigned, in the query.
//
// A signature covers the method, the path, the query, the headers it lists, the body
// and a time. [Verifier] takes nothing that it does not cover and that somebody could
// change to another meaning: host and every x-amz-* header must be signed, and what
// could be read in two ways (a header or a parameter that comes twice, control
// characters, a path with empty or dot segments) is refused although AWS would try.
//
// There is no memory of the signatures that came before. AWS has none either, and its
// clients send the same signature again if they retry within a second. What bounds a
// replay is the window: five minutes around the clock of the server, or what a
// presigned request says of itself. Who can listen to a request can repeat it in that
// time; TLS is what keeps others from listening.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
package sigv4
