// Package clients drives the clients that people use against berth, unmodified: docker, podman, skopeo, buildah, ctr,
// crane, oras, regctl, helm, cosign and the AWS CLI.
//
// Each client has one script in testdata that reads like its user's notes, and scans have one that takes several of
// them. The scripts run against a berth of their own with authentication on:
//
//	conformance/clients/install.sh
//	BERTH_E2E=1 go test -v ./conformance/clients            # all of them
//	BERTH_E2E=1 go test -v ./conformance/clients -run /helm # one
//
// Without BERTH_E2E the tests are skipped, because they need root and half a gigabyte of other people's programs. With
// it, a client that is not installed is a failure and never a skip.
//
// # Settings
//
//   - BERTH_BIN is the berth binary to test; without it ./cmd/berth is built.
//   - BERTH_SCANNER_BIN is the scanner that it runs; by default the berth-scanner beside BERTH_BIN, or that in bin. It is
//     not built for the occasion, which would take ten minutes: make scanner.
//   - BERTH_E2E_URL, BERTH_E2E_USER and BERTH_E2E_PASSWORD name a registry that runs already, to be tested instead.
//   - BERTH_CACHE is the folder that install.sh fills, ~/.cache/berth by default.
//
// # In a script
//
// Beside what testscript offers (https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript) there is
//
//	start dockerd        a Docker Engine of the script's own; sets DOCKER_HOST
//	start containerd     likewise; sets CONTAINERD_ADDRESS
//	let NAME PATTERN     sets $NAME to what the group of PATTERN matches in the last stdout
//	has REF [DIGEST]     asks the registry itself for a manifest; ! has REF if it must not be there
//
// and the variables REGISTRY (host:port), LOGIN, DEBIAN (a root file system as a tar file), HELLO_AMD64 and HELLO_ARM64
// (a static program that says hello). If [keys] holds, which is always but with BERTH_E2E_URL, ACCESS_KEY_ID and
// SECRET_ACCESS_KEY are an access key of $LOGIN, docker-credential-berth is berth, and berth is led to the data of the
// registry by the environment. VULNERABILITIES and VULNERABILITIES_NEWER are folders with vulnerability databases; there
// is none in the registry until a script imports one, and nothing is fetched. The file "password" holds the password of $LOGIN, the file "wrong" another one.
package clients
