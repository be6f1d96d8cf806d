// Package scan is about the vulnerabilities of images: its words, what is kept of them, and
// the jobs that workers do.
//
// Scanning an image has two steps. The first reads its layers and makes an inventory, a
// CycloneDX document of the packages in it; it happens once for each digest. The second
// matches the inventory with a vulnerability database and has findings for its result; it
// happens again whenever there is a newer database, and reads no layer.
//
// A [Service] is the part that runs inside the registry: it decides what is to be scanned,
// hands out jobs and keeps what comes back in a [Store]. Workers run elsewhere and speak
// HTTP to it (package scan/remote has both ends); package scan/trivy is what they find
// packages and vulnerabilities with.
package scan
